"""Definitions for all rules: names of parts, shards and models, and parameters whose changes make results stale."""

from functools import cache

from dfdc.config.canonical import canonical
from dfdc.data import parts
from dfdc.stages.faces.detection.settings import DETECTORS
from dfdc.system.jobs.attempts import unfinished_at_start
from dfdc.system.jobs.provenance import code_of
from dfdc.system.jobs.runs import RUN, begin_run

# Jobs end soon after the Snakemake that started them.
os.environ[RUN] = str(os.getpid())
if workflow.is_main_process:
    begin_run()

DATA = Path(config["data"]["root"])
TEST_VIDEOS = DATA / config["data"]["test_videos"]
TEST_LABELS = config["data"]["test_labels"] and str(DATA / config["data"]["test_labels"])

MODELS = sorted(config["models"])
SHARDS = range(config["prediction"]["shards"])
TRAINED = [name for name in MODELS if not config["models"][name]["weights"]]
# The kinds of models in use, which need different crops of the test videos.
KINDS = sorted({model["kind"] for model in config["models"].values()})
# The keys that define a model and its training.
MODEL_KEYS = ("architecture", "kind", "frames", "crop", "erasing", "seed")

if config["data"]["parts"] == "auto":
    PARTS = parts.find_parts(DATA) if TRAINED else []
else:
    PARTS = config["data"]["parts"]


# The image for --software-deployment-method apptainer, built from the Dockerfile.
container: str(HERE / "dfdc.sif")


UNFINISHED = unfinished_at_start(workflow.is_main_process)

# If the labels of the test videos are known, the scores are evaluated.
EVALUATION = ["results/evaluation.json"] if TEST_LABELS else []
# If pairs are set aside for validation, the models are evaluated on them.
VALIDATED = TRAINED and (config["validation"]["parts"] or config["validation"]["share"] > 0)
VALIDATION = ["results/validation/evaluation.json"] if VALIDATED else []
CALIBRATION = "results/validation/calibration.json" if config["ensemble"]["calibration"] != "published" else []
ALL = ["submission.csv", *EVALUATION, *VALIDATION]


wildcard_constraints:
    part="[^/]+",
    shard=r"\d+",
    model="|".join(MODELS),
    architecture="efficientnet-[a-z0-9]+",


@cache
def code(rule_name, *modules):
    """Hashes of a rule's code, as a parameter: if they change, the rule runs again. ``modules`` are further modules."""
    return code_of(HERE / "workflow" / "scripts" / f"{rule_name}.py", *modules)


def unfinished(rule_name, wildcards):
    """The number of unfinished attempts of a job, as a parameter: a job that failed runs again.

    Snakemake deletes the output of a failed job, but records its new parameters as if it had succeeded. If results
    derived from the old output still exist, it would consider them up to date and never run the job again.
    """
    return f"{UNFINISHED.get('/'.join([rule_name, *wildcards]), 0)} unfinished attempts"


def shared(rule_name, *modules):
    """The parameters of every rule, ``code`` and ``unfinished``, as functions, which are only evaluated when needed."""
    return {
        "code": lambda wildcards: code(rule_name, *modules),
        "unfinished": lambda wildcards: unfinished(rule_name, wildcards),
    }


def growing(mem_mb=4000, runtime=30):
    """A job's memory in MB and run time in minutes, as resources: multiplied by the attempt (``--retries``).

    Not in ``default-resources`` of profiles/default, which would override that key of a site's own profile, and with it
    the partition and account of jobs.
    """
    return {
        "mem_mb": lambda wildcards, attempt: mem_mb * attempt,
        "runtime": lambda wildcards, attempt: runtime * attempt,
    }


def gpus(used=True):
    """The number of GPUs of a job, 0 or 1, as a resource; ``--set-resources`` can assign more."""
    return int(used and config["speed"]["device"] != "cpu")


def settings(*path):
    """The settings at a path in the config, as a parameter: if they change, the rule runs again."""
    value = config
    for key in path:
        value = value[key]
    return canonical(value)


def model_settings(name, *keys):
    """Some settings of a model, as a parameter."""
    return canonical({key: config["models"][name][key] for key in keys})


def existing(path):
    """A file that the user provides, as an input; empty for null and for packages."""
    return [path] if path and not path.startswith("package:") else []


def pretrained_of(wildcards):
    """The converted pretrained weights of a model, if there are any."""
    architecture = config["models"][wildcards.model]["architecture"]
    if not config["pretrained"].get(architecture):
        return []
    return f"results/weights/{architecture}.safetensors"


def weights_of(wildcards):
    """Finished weights: those named in the config, or those from training."""
    return config["models"][wildcards.model]["weights"] or f"results/models/{wildcards.model}/weights.safetensors"


def videos_of_part(wildcards):
    """A hash of the names and sizes of a part's videos, as a parameter: changed videos make detections stale."""
    return parts.listing(f"{DATA}/{wildcards.part}/metadata.json")


def videos_of_shard(wildcards):
    """A hash of a shard's videos, as a parameter: new or changed videos make detections stale.

    It does not take ``input``, because Snakemake does not compare parameters that depend on it.
    """
    return parts.fingerprint(parts.shard_videos(str(TEST_VIDEOS), int(wildcards.shard), len(SHARDS)))


def figure(path, category, title):
    """A figure of the report; the file of its caption has the same name."""
    caption = f"../workflow/report/{path.rpartition('.')[0]}.rst"
    return report(f"results/figures/{path}", caption=caption, category=category, labels={"figure": title})
