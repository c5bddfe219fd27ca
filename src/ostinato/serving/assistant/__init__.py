"""What an assistant may do over the Model Context Protocol: look at data, train with a budget, ask models."""
