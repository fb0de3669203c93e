"""How much of a file is read, at most: one table, so that small files can neither fill the machine nor hang it.

Every reader of files takes its limits from here and holds them before the work, not after it.
"""

MB = 1_000_000

# Experiments, studies, contracts and rules. What an alias repeats counts each time it is repeated.
YAML_BYTES = 1 * MB
YAML_VALUES = 20_000
YAML_DEPTH = 40
DIGITS = 30  # of a whole number

# The files of a run folder. split.json holds an index of every training image, metrics.csv a line of every epoch.
JSON_BYTES = 50 * MB
METRICS_BYTES = 20 * MB
LOG_BYTES = 20 * MB
CHECKPOINT_BYTES = 500 * MB
PREDICTIONS_BYTES = 400 * MB  # unpacked
CODE_BYTES = 5 * MB  # of a reader's own file

# A network that is built to open a run: its numbers, and those of all its layers' outputs for one image.
PARAMETERS = 50 * MB
OUTPUTS = 50 * MB
LAYERS = 200  # that a list of widths asks for

# A study.
VARIANTS = 1_000
SEEDS = 10_000
RUNS = 20_000

# The reader's own data and pictures.
ARRAYS_BYTES = 4_000 * MB
PIXELS = 100 * MB
CLASS_LIST_BYTES = 5 * MB

# A workbook: packed parts, their unpacked text, cells that are there, cells read by all its formulas together.
WORKBOOK_BYTES = 40 * MB
WORKBOOK_PARTS = 3_000
WORKBOOK_CELLS = 120_000
WORKBOOK_READS = 3 * MB

# What is said.
SENTENCE = 1_500  # characters
ECHO = 80  # characters of a value that a sentence repeats
