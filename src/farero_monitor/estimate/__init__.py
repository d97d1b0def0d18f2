"""How good the model's answers are while nobody has labels yet: estimated from its probabilities, or its errors."""
