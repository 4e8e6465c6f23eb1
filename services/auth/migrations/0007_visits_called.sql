-- What whoever looked was called then: a customer reads it, who reads nothing of the company's people.
ALTER TABLE visits ADD COLUMN called text NOT NULL DEFAULT '';
SELECT readable_beside('visit_requests');
