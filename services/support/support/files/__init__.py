"""Files that come with tickets."""
