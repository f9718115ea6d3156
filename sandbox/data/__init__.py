"""What a sandbox starts with: generated rows, a folder of CSV files, measures, and the lookup column."""
