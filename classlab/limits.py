"""How much of a file is read, at most: one table, so that small files can neither fill the machine nor hang it.

Every reader of files takes its limits from here and holds them before the work, not after it.
"""

MB = 1_000_000

# Experiments, studies, contracts and rules. What an alias repeats counts each time it is repeated.
YAML_BYTES = 1 * MB
YAML_VALUES = 20_000
YAML_DEPTH = 40
DIGITS = 30  # of a whole number
PATH = 4096  # characters of a path in a file

# The files of a run folder. split.json holds an index of every training image, metrics.csv a line of every epoch.
RECORD_BYTES = 1 * MB  # summary.json, environment.json and their like
SPLIT_BYTES = 10 * MB
METRICS_BYTES = 20 * MB
LOG_BYTES = 20 * MB
CHECKPOINT_BYTES = 8_000 * MB  # of what a run goes on with; of what is only opened, its network's own size
WEIGHTS_BYTES = 1_000 * MB  # of weights from elsewhere
WEIGHTS_STEPS = 2_000_000  # instructions of the pickle that describes them
HEADER_BYTES = 2 * MB  # of a safetensors file
PREDICTIONS_BYTES = 400 * MB  # unpacked
CODE_BYTES = 5 * MB  # of a reader's own file
MACHINE_BYTES = 10_000  # what was measured of this machine
LIBRARY_BYTES = 50 * MB  # of a native step

# A network that is built to open a run: its numbers, and those of all its layers' outputs for one image.
PARAMETERS = 50 * MB
OUTPUTS = 50 * MB
LAYERS = 200  # that a list of widths asks for
AUGMENTATIONS = 50  # of an image, one after the other
COPIES = 100  # of every training image
BATCH = 10_000_000  # images

# A study.
VARIANTS = 1_000
SEEDS = 10_000  # how many
SEED = 10**15  # the largest
RUNS = 20_000
SEARCHED, CHOICES = 20, 200  # settings of a search, and their choices in all

# The reader's own data and pictures.
ARRAYS_BYTES = 4_000 * MB
ARRAY_HEADER_BYTES = 10_000
UNPACKED_FREELY, UNPACKED_TIMES = 200 * MB, 200  # a packed file of arrays: so much at least, so many times its size
PIXELS = 100 * MB
PICTURE_SIDE = 10 * MB  # pixels
PICTURE_SCANS = 100  # a JPEG may draw itself in many passes over all its pixels
PICTURE_PIECES = 100_000  # strips or tiles of a TIFF
EXIF_BYTES = 64_000  # more than a JPEG's one segment for it holds
CLASS_LIST_BYTES = 5 * MB
TASKS_BYTES = 50 * MB

# Published datasets: archives of them, their pickles, and a cache file.
ARCHIVE_MEMBERS = 10_000
ARCHIVE_HEADER_BYTES = 1 * MB  # in front of a member, or of a zip file's table of contents
PICKLE_STEPS = 200_000
DATASET_BYTES = 500 * MB

# A workbook: its file, its parts, the text that they unpack to, the pieces of that XML, and what it describes.
WORKBOOK_FILE_BYTES = 100 * MB
WORKBOOK_OLD_BYTES = 10 * MB
WORKBOOK_PARTS = 3_000
WORKBOOK_BYTES = 40 * MB
WORKBOOK_TAGS, WORKBOOK_EQUALS = 2_400_000, 1_300_000  # equals signs, for attributes have them
WORKBOOK_SHEETS = 200
WORKBOOK_NAMES = 20_000
WORKBOOK_CELLS = 330_000
WORKBOOK_TEXTS = 20_000  # different ones
WORKBOOK_TABLES = 100
WORKBOOK_STEPS = 11_900_000  # of work on all of it, each about 0.4 microseconds

# A hand-in, and a class's hand-ins in one archive, as course sites export them.
HAND_IN_FILES = 2_000
HAND_IN_BYTES = 300 * MB  # unpacked
HAND_IN_TABLE = 1 * MB  # of a zip file's table of contents
HAND_INS = 5_000
CLASS_BYTES = 20_000 * MB  # of archives in an archive, unpacked
HAND_IN_DEPTH = 4  # of archives in archives
GRAPH_BYTES = 200 * MB  # of a student's network as an ONNX graph
GRAPH_NODES = 5_000
GRAPH_NUMBERS = 500_000_000  # of a value that it computes
NOTES_BYTES = 2 * MB  # of a report's text that is compared

# What is said.
SENTENCE = 1_500  # characters
ECHO = 80  # characters of a value that a sentence repeats
ECHO_PATH = 400  # characters of a path
