"""The catalogue of codes: what each error, warning and diagnostic says in general.

`docs/errors.md` is made of it; a test compares it with what the source raises.
"""

from __future__ import annotations

from enum import Enum

CATALOGUE: dict[str, dict[str, str]] = {
    "D: defining an operator": {
        "D001": "a label is used that the term's iterator does not bind",
        "D002": "an iterator binds the same label twice",
        "D003": "a row holds a site that the lattice does not have",
        "D004": "rows do not form a table with one column per label",
        "D005": "for_each is given no rows",
        "D006": "a row holds something that is not an exact integer",
        "D007": "where, emit or named is called before any iterator",
        "D008": "where is called after an emission of its term",
        "D009": "a term has an iterator and no emission",
        "D010": "an operator is built without a term",
        "D011": "two terms are given the same name",
        "D012": "a complex number enters an operator with a real dtype",
        "D013": "a constant is infinite, NaN, or too large for the dtype",
        "D014": "emitted(..) is read where x' does not exist yet",
        "D015": "something is no number and no expression",
        "D016": "something is no predicate",
        "D017": "something is no update",
        "D018": "an update is given something that is no site",
        "D019": "a name or label is no printable, non-empty string",
        "D020": "Python is made to decide a predicate or an expression",
        "D021": "complex numbers are compared by size",
        "D022": "an update writes or adds a complex number",
        "D023": "row(..) names data that the term does not have",
        "D024": "row data are not one number per row",
        "D025": "a dtype is none of the four that operators may have",
        "D026": "one symbol is declared in two ways",
        "D027": "a flag is neither True nor False",
        "D028": "the text of an operator, or of another level, cannot be parsed",
        "D029": "the text of an operator parses but does not verify",
        "D030": "a module does not hold exactly one sym.operator",
        "D031": "an operator is given a space other than its own",
        "D032": "emit_elseif or emit_else does not follow an emit_if",
        "D033": "site sets are not one list of distinct sites per row",
        "D034": "a site set is named that the term does not have",
        "D035": "a site is flipped that does not have two local values",
        "D036": "the number of a site cannot be that of a site of the lattice",
        "D037": "something is no graph, or its edges do not have the colours needed",
        "D038": "an iterator is given a shape that the lattice does not have",
        "D039": "an update is given the wrong number of sites or values",
        "D040": "a class is no custom clause, or does not return one's parts",
        "D041": "two custom clauses are registered under one name",
        "D042": "here is used outside of what a reduction reduces",
        "D043": "a lookup table is empty, too long, or not made of numbers",
        "D044": "a table is looked up at an index that it does not have",
        "D045": "wrap_mod meets local values that are not equally spaced",
        "D046": "a reduction is over something that is no set of sites",
        "D047": "a complex number is where only a real one makes sense",
        "D048": "a branch leaves the constraints of the space",
        "D049": "a fanout is no positive number of branches",
        "D050": "an operator is scaled or shifted by what is no scalar",
        "D051": "an operator is divided by zero",
        "D052": "only one operand of a sum or product is projected",
        "D055": "an operator acts on a site of a kind that it is not for",
        "D056": "a fermion is given a spin that its sites do not have",
        "D057": "a coefficient of an operator reads local values",
        "D058": "something is no operator, or is no power or sum of one",
        "D059": "an operator acts on a site that no row can name",
        "D060": "sum_over is given something that is no function of sites",
        "D066": "shift_mod is given places that are no whole number",
        "D070": "a function or update cannot be registered as given",
        "D071": "two functions, or updates, are registered by one name",
        "D072": "a function or update is not registered",
        "D073": "a registered function or update is not used as it is meant",
        "D074": "a traced function is translated where JAX is not installed",
        "D075": "JAX cannot trace a registered function",
        "D076": "a registered function is not elementwise on scalars",
        "D077": "a registered function returns another kind of number",
        "D080": "a product of operators has too many branches",
        "D081": "an operator is raised to something that is no small integer",
        "D082": "the adjoint of a branch is not known",
        "D083": "a parameter has different values in two operators",
        "D087": (
            "what an operator has when it is built, or compiled, is asked for before"
        ),
        "D088": "Python or NumPy takes an expression for a number",
    },
    "S: spaces": {
        "S001": "a number of sites or of configurations is no positive integer",
        "S002": (
            "local values are missing, repeated, not ascending, not finite, not real "
            "or too many"
        ),
        "S003": "there are not as many lists of local values as sites",
        "S004": "a site is asked for that the lattice does not have",
        "S005": "there are too many configurations to list them all",
        "S006": "a dtype cannot hold the local values",
        "S007": "configurations do not have one value per site",
        "S008": "configurations are no real numbers",
        "S009": "a spin is no positive half-integer",
        "S010": "a largest occupation is no positive integer",
        "S011": "something is no space and no Hilbert space",
        "S012": "a Hilbert space has no finite list of local values",
        "S013": "no configuration satisfies the constraints of a space",
        "S014": "a conserved sum or a number of particles is malformed",
        "S015": "a conserved sum cannot be added up, or counted, exactly",
        "S016": "a constraint of a NetKet Hilbert space is no sum of local values",
        "S017": "the predicate of a space depends on a parameter",
        "S018": "a space with predicates is a factor of a product",
        "S019": (
            "too few configurations satisfy the predicates of a space to draw from them"
        ),
        "S020": "a space does not fit a model",
    },
    "C: compiling": {
        "C001": (
            "a pass left IR that does not verify, or another operator, or lost "
            "branches of it (`bt.pruned` names those that add nothing): a bug in that "
            "pass, or invalid input"
        ),
        "C002": "a pass cannot handle an operator",
        "C003": "a level is asked for that does not exist",
        "C004": "an operator asks for 64 bits and JAX is set to 32",
        "C005": "an operator is compiled where JAX is not installed",
        "C006": (
            "an option of the compiler or of a store has a bad value, or does not exist"
        ),
        "C007": "a pass asks for an analysis that none has written",
        "C008": "a text is no pass pipeline",
        "C009": "a pipeline is put together in a way that cannot run",
        "C010": "a symbolic pass fails",
        "C011": "a cache token is asked for where there was no cache",
        "C012": "a lowerer is registered that is none, or under a name that is taken",
        "C013": "no lowerer supports a compilation",
        "C014": "a stage of the compilation fails for a reason of its own",
        "C015": "the file of an artifact cannot be written or read, or is too large",
        "C016": "a file is no artifact, or a damaged one",
        "C017": "an artifact holds what its file could not give back",
        "C018": (
            "the file of an artifact asks for a format, options or passes that are "
            "not known here"
        ),
        "C020": "an extension cannot be checked",
        "C021": "an extension is not what its reference says",
        "C022": "the check of an extension would not see a mistake",
        "C023": "a fusion plan cannot be carried out",
        "C024": (
            "an artifact or an energy cannot be exported: it has no kernel, JAX cannot "
            "do it, or flatbuffers is not installed"
        ),
        "C025": (
            "a kernel is asked for or exported with a batch, chunk, dtype or platform "
            "that cannot be"
        ),
        "C026": (
            "the passes of an artifact cannot be run again, for its optimisation report"
        ),
        "C027": (
            "options ask for a lowering, and the compiler's pipeline has one of its own"
        ),
        "C028": (
            "an operator is declared to be Hermitian, and some of its elements are not"
        ),
        "C030": (
            "an operator of 64 bits is computed with 32, since JAX is set to them: a "
            "warning, `symir.PrecisionWarning`"
        ),
        "C032": (
            "a local energy is asked for of what is no operator, or no function log psi"
        ),
        "C033": "the sites of a wavefunction cannot be drawn one after the other",
        "C034": "samples are asked for of what is no function, or with no power",
        "C060": "a call does not fit the stage that IR is at (`StageError`)",
        "C061": "IR that was edited by hand is no kernel of its operator",
        "C062": "`SYMIR_IR_DUMP` names a folder that cannot be written: a warning",
        "C070": "an operator is to be reduced that does not fail",
        "C071": "an operator is to be reduced with no positive number of checks",
        "C072": "a trace cannot be written",
        "C080": "`explore` has no file to write",
        "C082": "a page cannot be written",
        "C083": "a picture needs matplotlib, which cannot be imported",
        "C084": (
            "there is no such picture: of this operator, configuration, branch or "
            "figures"
        ),
    },
    "R: running a compiled operator": {
        "R001": "x is no array of numbers, or its last axis is not the sites",
        "R002": "x has a dtype that cannot hold the local values",
        "R003": "a parameter is set that the operator does not have",
        "R004": "a parameter has neither a value nor a default",
        "R005": "a parameter is given something that is not one number of its kind",
        "R006": "`checked=True` is asked for while JAX is tracing",
        "R007": "x holds a configuration that the space does not have",
        "R008": "a term has more valid branches than its `fanout` promises (checked)",
        "R009": "a matrix element is NaN (checked)",
        "R010": "a branch leaves the constraints of the space (checked)",
        "R011": "a derivative is asked for through an op that has none",
        "R012": "an operator of 64 bits is run while JAX is set to 32",
        "R020": "a chunk, or a number of samples, cannot be what it is said to be",
        "R021": "log psi is not one number for each configuration",
        "R022": "probabilities of a site to be drawn do not add up to 1",
        "R025": (
            "a delta is registered for what is no function or class, or is no functions"
        ),
        "R026": "a delta is no scalar, or complex where log psi is real",
        "R027": "a delta differs from how log psi changes",
        "R028": "a commit does not return the cache of where it leads",
    },
    "V: validation": {
        "V001": "something is not one operator, at no level",
        "V002": "configurations do not fit what is interpreted",
        "V003": "parameters do not fit what is interpreted",
        "V004": "an op is met that no interpreter of the level knows",
        "V005": "a value table has no value of a name",
        "V006": "value tables are of other samples or lanes: they cannot be compared",
        "V007": (
            "a number has no exact value, and a valid branch or a decision needs it"
        ),
        "V008": "bounds are asked of complex numbers",
        "V009": "it is not known what to do where there is no exact value",
        "V010": "a pass does not preserve what it declares: a bug of that pass",
        "V011": "a space has too many configurations to look at all of them",
        "V012": "a check is asked of what cannot be checked",
        "V013": "a file is no certificate",
        "V014": "a function is called that the module does not have, and no oracle is",
        "V015": "a certificate is asked of a local energy: no file has its network",
    },
    "F: facts": {
        "F002": "facts are asked for with an option that is no count",
    },
    "T: the command line": {
        "T001": "a file cannot be read",
        "T002": "operators are defined in .py and .mlir files",
        "T003": "a file defines no operator",
        "T004": "a file defines several operators, and none is chosen",
        "T005": "a file has no operator of the name that is asked for",
        "T006": "what a name stands for is no operator",
        "T007": "an operator is declared, but its builder is not built",
        "T008": "configurations are read from .npy and .csv files",
        "T009": "a .npy file does not hold an array of real numbers",
        "T010": "a cell of a .csv file holds no number",
        "T011": "configurations do not have one value per site",
        "T012": "a file holds no configurations",
        "T013": "a configuration holds a value that its site cannot have",
        "T014": "a dtype cannot hold the local values",
        "T015": "a file cannot be written",
        "T016": "a parameter is not given as name=number, once",
        "T018": "a parameter has neither a value nor a default",
        "T019": "an option is given where it means nothing",
        "T020": "running an operator needs JAX",
        "T021": "XLA could not run the kernel",
        "T022": "a command cannot be run",
        "T023": "a port cannot be had",
    },
    "W: diagnostics": {
        "W001": "a predicate never holds",
        "W002": "a part of a predicate always holds",
        "W003": "an amplitude is zero wherever the branch is valid",
        "W004": "x' leaves the space for some local values",
        "W005": "x' leaves the space wherever the predicate holds",
        "W006": "it is not proved that a written value is allowed",
        "W007": "an amplitude divides by zero",
        "W008": "an amplitude has a root of a negative number",
        "W009": "an amplitude has the logarithm of zero or less",
        "W010": "a label is not used",
        "W011": "data are not used",
        "W012": "a site set is not used",
        "W013": "a parameter is not used",
        "W014": "two emissions of a term make the same branch",
        "W015": "two terms are the same",
        "W016": "a written value does not fit into int8",
        "W017": "an operator is not Hermitian, and declared to be",
        "W018": "a fanout promises too few branches",
        "W019": "a fanout promises more branches than needed",
        "W020": "a fifth of the lanes or more could be one lane",
    },
    "P: the installation": {
        "P001": "another package named `dialects` or `lowering` shadows symir's own",
    },
    "N: imports": {
        "N001": "strings are no Pauli strings of one length",
        "N002": "there is not one finite weight for each string or product",
        "N003": "Pauli strings do not act on a space",
        "N004": "something is no product of fermion operators",
        "N005": "products of fermion operators do not act on a space",
        "N006": "the number of orbitals is neither given nor to be seen",
        "N007": "an FCIDUMP file cannot be read",
        "N008": (
            "the header of an FCIDUMP file is malformed, or asks for what is not "
            "supported"
        ),
        "N009": "a line of an FCIDUMP file holds no integral",
        "N010": "an FCIDUMP file has two values for one integral",
        "N011": "something is no operator of NetKet that symir knows",
        "N012": "a transpose or adjoint of NetKet cannot be carried out",
        "N013": "what is to become NetKet's is no space and no operator",
        "N014": "options to compile what is compiled already, or is a space",
        "N015": "NetKet is not installed",
        "N016": "the products of an operator of NetKet are not in normal order",
        "N017": (
            "NetKet is asked for the gradient of an operator that is not known to be "
            "Hermitian"
        ),
        "N019": "an operator of symir is to be part of an open system",
        "N020": "NetKet draws the samples of a model that symir cannot draw: a warning",
    },
}
"""Summaries by the title of a section, then by code."""

CODES: dict[str, str] = {
    code: text for section in CATALOGUE.values() for code, text in section.items()
}
"""All of them."""


class Coded(Enum):
    """Base of enumerations whose values are codes of the catalogue."""

    @property
    def code(self) -> str:
        """The code that messages show, such as D001."""
        return self.value

    @property
    def summary(self) -> str:
        """Summary of the code, without the particulars."""
        return CODES[self.value]
