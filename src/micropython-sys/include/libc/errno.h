// Error numbers are not looked at.
