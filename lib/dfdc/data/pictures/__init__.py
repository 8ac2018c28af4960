"""PNG pictures, and stores of them. What writes and what reads lie apart, so that a faster reader cuts no clip anew."""
