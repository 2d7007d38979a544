"""Reference interpreters of each level over NumPy, the oracle of all tests.

They share no code with the passes that they are the measure of. Each is a set of xDSL
`InterpreterFunctions`, so that a subclass can override the meaning of single ops and a
listener can watch every value. They compute with the numbers of an interpreter: floats,
`exact.Fractions` or `intervals.INTERVALS`.
"""
