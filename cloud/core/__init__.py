"""What every part of the cloud stands on: settings, errors, database, jobs, files, secrets, words and logs."""
