-- Whose an aggregate is, as its events say: how far it is known here is answered to nobody else's key. What was heard
-- before has none, and is answered as ever.
ALTER TABLE seen ADD COLUMN customer text;
