"""Reports: data -> document -> file."""
