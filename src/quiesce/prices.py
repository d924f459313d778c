"""Public prices of EBS, in US dollars, of us-east-1; other Regions differ a little: the one place that has them."""

# When these were written down and compared with their sources; no bill was looked at: docs/unconfirmed.md.
PRICES_OF = "2026-11-29, us-east-1"
# For one call of the EBS direct APIs (EBS User Guide, "Pricing for EBS direct APIs").
LIST_DOLLARS, GET_DOLLARS, PUT_DOLLARS = 0.0006 / 1000, 0.003 / 1000, 0.006 / 1000
# For a GiB and a month: of the standard tier, and of the archive, which holds every snapshot in full; for each GiB that
# is restored; and for how many days the archive is paid at least (EBS User Guide, "Pricing and billing for archiving").
STORED_GIB_DOLLARS, ARCHIVED_GIB_DOLLARS = 0.05, 0.0125
RESTORED_GIB_DOLLARS = 0.03
ARCHIVE_DAYS = 90
DAYS_OF_A_MONTH = 30
