"""Definitions for all rules: names of parts, shards and models, and parameters whose changes make results stale."""

import atexit
from functools import cache

from snakemake.io import is_flagged

from dfdc.config.canonical import canonical
from dfdc.config.paths import external_and_number, part_folder, scored_folder, scored_labels
from dfdc.data import parts
from dfdc.data.known import known_parts
from dfdc.networks.settings import family_module
from dfdc.preflight.inputs import check_inputs
from dfdc.stages.faces.detection.settings import DETECTORS, IGNORED
from dfdc.system.jobs.attempts import unfinished_attempts
from dfdc.system.jobs.places import image_of
from dfdc.system.jobs.plan import Plan
from dfdc.system.jobs.provenance import code_of, syntax_hash
from dfdc.system.jobs.records.checksums import spare_ancient_inputs
from dfdc.system.jobs.records.hashes import HASHES, Hashes
from dfdc.system.jobs.records.places import Places
from dfdc.system.jobs.records.snakemake import recorded_param
from dfdc.system.jobs.records.states import keep_jobs_of_unknown_state
from dfdc.system.jobs.retries import factors
from dfdc.system.jobs.runs import RUN, begin_run
from dfdc.system.jobs.terminal import be_brief, is_brief
from dfdc.system.locks.owners import Owner
from dfdc.system.words import printable

# Jobs end soon after the Snakemake that started them.
os.environ[RUN] = Owner.current().text()
# Hashes that earlier runs made. The run remembers new ones, its jobs only look them up.
REMEMBERED = Hashes(HASHES)
# Where the user's data were in earlier runs.
PLACES = Places()
if workflow.is_main_process:
    begin_run(logger)
    spare_ancient_inputs()
    keep_jobs_of_unknown_state()
    atexit.register(REMEMBERED.save)
    if not workflow.dryrun:
        atexit.register(PLACES.save)
    if is_brief() and not workflow.dryrun:
        be_brief(logger)

DATA = Path(config["data"]["root"])
TEST_VIDEOS = scored_folder(config, "")
TEST_LABELS = scored_labels(config, "")

MODELS = sorted(config["models"])
# The shards of the test videos; and external sets, whose shards have the set's name before the number.
SHARDS = range(config["prediction"]["shards"])
EXTERNAL = sorted(config["data"]["external"])
EXTERNAL_SHARDS = [f"{{external}}/{number}" for number in SHARDS]
TRAINED = [name for name in MODELS if not config["models"][name]["weights"]]
# The kinds of models in use, which need different crops of the test videos.
KINDS = sorted({model["kind"] for model in config["models"].values()})
# How many bytes at both ends of a weights file are hashed.
SAMPLE = 2**20
# Whether training takes clips that were recompressed before; the settings for that; the last frame that a model takes.
RECOMPRESSED = config["training"]["recompression"]["variants"] > 0
RECOMPRESSION_KEYS = [
    f"training.recompression.{key}"
    for key in config["training"]["recompression"]
    if key not in ("probability", "whole_clip")
]
LAST_FRAME = max(
    (
        (
            config["clips"]["frames"] - 1
            if config["models"][name]["draw_frames"]
            else max(config["models"][name]["frames"])
        )
        for name in TRAINED
    ),
    default=0,
)
# The keys that define a model and its training.
MODEL_KEYS = ("architecture", "kind", "frames", "draw_frames", "crop", "erasing", "seed")
# Models that are trained here also get released weights.
RELEASED = [f"results/release/{name}.safetensors" for name in TRAINED]
RELEASED_KEYS = (*MODEL_KEYS, "score")

if config["data"]["parts"] == "auto":
    PARTS = known_parts(DATA, "results/videos") if TRAINED else []
else:
    PARTS = config["data"]["parts"]

# How many pairs a part should give if clips.per_track is auto: in the published training each is visited 8 times.
VISITS = 8
PAIRS_WANTED = (
    config["training"]["iterations"] * config["training"]["batch_pairs"] / VISITS / max(len(PARTS), 1)
    if config["clips"]["per_track"] == "auto"
    else 0
)


# The image for --software-deployment-method apptainer, built from the Dockerfile.
if IMAGE := image_of(workflow, HERE):

    container: IMAGE


# Unfinished attempts at the start of the run, by job.
if workflow.is_main_process:
    UNFINISHED = Plan(workflow, logger, HERE, check=lambda jobs: check_inputs(config, jobs)).unfinished
else:
    UNFINISHED = unfinished_attempts(beginning=False)

# If the labels of the test videos are known, the scores are evaluated.
EVALUATION = ["results/evaluation.json"] if TEST_LABELS else []
# If pairs are set aside for validation, the models are evaluated on them.
VALIDATED = TRAINED and (config["validation"]["parts"] or config["validation"]["share"] > 0)
VALIDATION = ["results/validation/evaluation.json"] if VALIDATED else []
CALIBRATION = "results/validation/calibration.json" if config["ensemble"]["calibration"] != "published" else []
EXTERNALS = [f"results/external/{name}/evaluation.json" for name in EXTERNAL]
ALL = ["submission.csv", *EVALUATION, *VALIDATION, *EXTERNALS, *RELEASED]


wildcard_constraints:
    part="[^/]+",
    shard=rf"(?:(?:{'|'.join(EXTERNAL)})/)?\d+" if EXTERNAL else r"\d+",
    external="|".join(EXTERNAL) or "(?!)",  # which matches nothing
    model="|".join(MODELS),
    architecture=r"efficientnet-[a-z0-9]+|timm/[a-z0-9_.]+",


@cache
def code(rule_name, *modules):
    """Hashes of a rule's code, as a parameter: if they change, the rule runs again. ``modules`` are further modules."""
    return code_of(HERE / "workflow" / "scripts" / f"{rule_name}.py", *modules, hashes=REMEMBERED)


def unfinished(rule_name, wildcards):
    """The number of unfinished attempts of a job, as a parameter: a job that failed runs again (see ``attempts``)."""
    return f"{UNFINISHED.get('/'.join([rule_name, *wildcards]), 0)} unfinished attempts"


def family_of_model(wildcards):
    """The module of the family of a model's architecture."""
    return family_module(config["models"][wildcards.model]["architecture"])


def shared(rule_name, *modules):
    """The parameters of every rule, ``code`` and ``unfinished``, as functions, which are only evaluated when needed.

    ``modules`` are the names of further modules, or functions that give the name for a job.
    """
    return {
        "code": lambda wildcards: code(
            rule_name, *(module(wildcards) if callable(module) else module for module in modules)
        ),
        "unfinished": lambda wildcards: unfinished(rule_name, wildcards),
    }


def growing(mem_mb=4000, runtime=30):
    """A job's memory in MB and run time in minutes, as resources: more at each attempt (``--retries``) of what it lacked.

    Not in ``default-resources`` of profiles/default, which would override that key of a site's own profile, and with it
    the partition and account of jobs.
    """

    def grown(wildcards, attempt, rulename):
        return factors("/".join([rulename, *wildcards]), attempt)

    return {
        "mem_mb": lambda wildcards, attempt, rulename: mem_mb * grown(wildcards, attempt, rulename).memory,
        "runtime": lambda wildcards, attempt, rulename: runtime * grown(wildcards, attempt, rulename).time,
    }


def gpus(used=True):
    """The number of GPUs of a job, 0 or 1, as a resource, and what a profile wants jobs with a GPU to request besides.

    These are its default resources ``with_gpu_…``, for example ``with_gpu_slurm_partition``: so the partition follows
    from what a job requests. ``--set-resources`` can assign more GPUs.
    """
    if not used or config["speed"]["device"] == "cpu":
        return {"gpu": 0}
    defaults = workflow.resource_settings._parsed_default_resources
    besides = {name: default.raw for name, default in defaults.items() if name.startswith("with_gpu_")}
    return {"gpu": 1, **{name.removeprefix("with_gpu_"): value for name, value in besides.items()}}


def settings(*paths):
    """Some of the config, as a parameter: if it changes, the rule runs again.

    ``paths`` are keys (``detection.train.every``) or sections, which stay nested as in the config: Snakemake compares
    the parameters of a job as a set, without their names, so each has to hold the names of its values.
    """
    chosen = {}
    for path in paths:
        *sections, key = path.split(".")
        source, target = config, chosen
        for section in sections:
            source, target = source[section], target.setdefault(section, {})
        target[key] = source[key]
    return canonical(chosen)


def detection_settings(half, *paths):
    """The settings of a half's face detection, and others, as a parameter: those that its detector ignores are fixed."""
    chosen = settings(f"detection.{half}", *paths)
    chosen["detection"][half] |= IGNORED.get(config["detection"][half]["detector"], {})
    return canonical(chosen)


def model_keys(name, keys):
    """The paths of some keys of a model, for ``settings``."""
    return [f"models.{name}.{key}" for key in keys]


def environment(name):
    """The path of a conda environment. Snakemake takes braces in it for wildcards unless they are doubled."""
    return str(HERE / "envs" / f"{name}.yaml").replace("{", "{{").replace("}", "}}")


def data_at(*paths):
    """Data, as inputs only if a rule makes them (the demo's).

    The user's data and weights are identified by their content, as parameters (``contents``): then it does not matter
    where they are, their paths may have braces, which Snakemake takes for wildcards, and they may be gone when nothing
    needs them any more.
    """
    return [str(path) for path in paths] if "demo" in config else []


def contents(name, path, read, output, made="demo" in config):
    """A hash of the user's data at a path, as a parameter: what ``read`` returns, by name.

    If the data are gone from where they were, they count as unchanged: the hash is the one that was recorded with the
    output. Others that are not there, such as a path with a slip, count as changed. A job that needs any of them does
    not start (``check_inputs``). ``made``: whether a rule makes the data.
    """
    purpose = f"{name} of {output}"
    try:
        found = {name: read()}
        PLACES.note(purpose, path or "")
        return found
    except OSError:
        if made:  # but not yet: Snakemake waits for them
            raise
        if PLACES.is_other(purpose, path):
            return {name: "missing"}
        before = recorded_param(workflow, output, name)
        if before is not None:
            warn_of_missing(path)
        return {name: before}


@cache
def warn_of_missing(path):
    if workflow.is_main_process:
        logger.warning(printable(f"{path} cannot be read.") + " What was made of it counts as up to date.")


def hash_of_weights(path, output):
    """A hash of the weights that the user provides, as a parameter; the name of a package, which has no file."""
    if not path or path.startswith("package:"):
        PLACES.note(f"weights of {output}", path or "")
        return {"weights": path}
    return contents("weights", path, lambda: hash_of_file(path), output, made=False)


@cache
def hash_of_file(path):
    found = Path(path).resolve(strict=True)
    # The name of a folder, such as a TensorFlow checkpoint, says nothing about the files in it.
    inside = sorted(file for file in found.rglob("*") if not file.is_dir()) if found.is_dir() else []
    return parts.fingerprint([found, *inside], SAMPLE)  # many jobs read the same weights


def pretrained_of(wildcards):
    """The converted pretrained weights of a model, if there are any."""
    architecture = config["models"][wildcards.model]["architecture"]
    if not config["pretrained"].get(architecture):
        return []
    return f"results/weights/{architecture}.safetensors"


def trained_weights_of(wildcards):
    """The weights of a model from its training, unless the config names finished ones."""
    trained = not config["models"][wildcards.model]["weights"]
    return f"results/models/{wildcards.model}/weights.safetensors" if trained else []


def part_of(wildcards):
    """The metadata.json of a training part, see ``data_at``."""
    return data_at(part_folder(config, wildcards.part) / "metadata.json")


def all_parts(wildcards):
    """The metadata.json of all training parts, see ``data_at``."""
    return data_at(*(part_folder(config, part) / "metadata.json" for part in PARTS))


def test_videos(wildcards):
    """The folder of the test videos, see ``data_at``; nothing for an external set, which no rule makes."""
    return data_at(*([] if external_and_number(wildcards.shard)[0] else [TEST_VIDEOS]))


def test_labels(wildcards):
    """The labels of the test videos, see ``data_at``, if there are any; nothing for an external set."""
    external, _ = external_and_number(wildcards.get("shard", "0"))
    return data_at(*([TEST_LABELS] if TEST_LABELS and not external else []))


def videos_of_part(wildcards):
    """A hash of a part's metadata.json and of the names and sizes of its videos, as a parameter."""
    folder = part_folder(config, wildcards.part)

    def read():
        # First the file: Snakemake waits for what is missing if it is an input.
        return fingerprint_of_part(folder, *(path.stat().st_mtime_ns for path in (folder / "metadata.json", folder)))

    return contents("videos", folder, read, f"results/videos/{wildcards.part}.parquet")


@cache
def fingerprint_of_part(folder, *changed):
    """The hash; ``changed`` is when the file and the folder were, which the demo makes during a run."""
    return parts.fingerprint_part(folder)


def metadata_of_parts(wildcards):
    """Hashes of the metadata.json of all parts, as a parameter."""
    files = {part: part_folder(config, part) / "metadata.json" for part in PARTS}
    return contents(
        "metadata",
        DATA,
        lambda: {part: parts.content_hash(file) for part, file in files.items()},
        "results/validation/evaluation.json",
    )


@cache
def videos_of_shards(folder, changed):
    """The videos of each shard; ``changed`` is when the folder was, which the demo makes during a run."""
    return parts.videos_by_shard(folder, len(SHARDS))


@cache
def fingerprint_of_shard(folder, number, changed):
    """A hash of the names, sizes, first and last bytes of a shard's videos; ``changed`` as above."""
    videos = videos_of_shards(folder, changed)[number]
    version = syntax_hash(Path(parts.__file__), REMEMBERED)
    return REMEMBERED.of_files(videos, f"videos {version}", lambda doubt: parts.fingerprint(videos, on_error=doubt))


def videos_of_shard(wildcards):
    """A hash of the names, sizes, first and last bytes of a shard's videos, as a parameter."""
    external, number = external_and_number(wildcards.shard)
    folder = scored_folder(config, external)

    def read():
        return fingerprint_of_shard(folder, number, folder.stat().st_mtime_ns)

    return contents(
        "videos",
        folder,
        read,
        f"results/test/videos/{wildcards.shard}.parquet",
        made="demo" in config and not external,
    )


def labels_of_external(wildcards):
    """A hash of the labels of an external set, as a parameter."""
    path = scored_labels(config, wildcards.external)
    output = f"results/external/{wildcards.external}/evaluation.json"
    return contents("labels", path, lambda: parts.content_hash(path), output, made=False)


def labels_of_test_videos(output):
    """A hash of the labels of the test videos, as a parameter of the rule with an output."""
    return lambda wildcards: contents(
        "labels", TEST_LABELS, lambda: TEST_LABELS and parts.content_hash(TEST_LABELS), output
    )


# The categories of the report, by the folders of their figures; the report sorts them by name.
CATEGORIES = {
    "data": "1 Training videos",
    "samples": "2 Samples",
    "training": "3 Training",
    "validation": "4 Validation clips",
    "test_data": "5 Test videos",
    "scores": "6 Scores",
}


def figure(path, title):
    """A figure of the report; the file of its caption has the same name."""
    caption = f"../workflow/report/{path.rpartition('.')[0]}.rst"
    category = CATEGORIES[path.split("/")[0]]
    return report(f"results/figures/{path}", caption=caption, category=category, labels={"figure": title})


def front_page():
    """What the report's first page says, for its template."""
    from dfdc.figures import front_page  # imported here because it is only needed for a report

    return front_page.front_page(config, MODELS, TRAINED, bool(VALIDATED), HERE)
