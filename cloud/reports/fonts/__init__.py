"""The fonts that reports are set in: Noto Sans, and Noto Naskh Arabic for Urdu (OFL.txt)."""
