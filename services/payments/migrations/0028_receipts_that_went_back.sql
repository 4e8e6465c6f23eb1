-- A line that tells of a receipt which has gone back is not to be taken for new money. Few have, so this costs nothing.
CREATE INDEX payments_gone_back ON payments (currency, amount, received_on) WHERE way = 'receive' AND going_back > 0;
