"""From nights to a disorder: what is asked, who reads the nights, and how that is judged."""
