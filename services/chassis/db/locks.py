"""Every advisory lock there is, by number: one number, one meaning, in each database."""

MIGRATIONS = 7_208_851_904
RELAY_LEADS = 7_208_851_905
BANK_LINES = 7_208_851_906  # one process takes the lines of bank files
JOB_ALONE = 7_208_851  # with the name of the job as second number
