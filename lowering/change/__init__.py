"""What a change of x does to the values of a wavefunction: forms, and a rule per op."""
