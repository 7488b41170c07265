"""What people see of calls: lines, ladders and a web page, from copies of the messages."""
