"""What is known of a data set after one pass: bounded in size, and mergeable in any order."""
