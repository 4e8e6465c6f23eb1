-- Received money goes to the oldest invoices that can take some: those that payments under way hold whole are passed over
-- by the index, not one by one.
DROP INDEX invoices_open;
CREATE INDEX invoices_payable ON invoices (customer_id, currency, due_on, issued_on, number)
    WHERE state = 'open' AND total - credited - settled - pending > 0;
-- One customer's list by number.
CREATE INDEX invoices_numbers_of_customer ON invoices (customer_id, number, id);
