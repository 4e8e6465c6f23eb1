-- The list of all customers' invoices by due date.
CREATE INDEX invoices_due_of_all ON invoices (due_on, id);
