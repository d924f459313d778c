"""Look on a real account at what the project believes of AWS, and write a report: ``make verify-on-aws``."""
