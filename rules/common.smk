"""What the rules share: the names of parts, shards and models, and the parameters that make results stale."""

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
# The kinds of models, which want different faces of the test videos.
KINDS = sorted({model["kind"] for model in config["models"].values()})
# What defines a model and its training.
MODEL_KEYS = ("architecture", "kind", "frames", "crop", "erasing", "seed")

if config["data"]["parts"] == "auto":
    PARTS = parts.find_parts(DATA) if TRAINED else []
else:
    PARTS = config["data"]["parts"]


# Where jobs run with --software-deployment-method apptainer: an image made from the Dockerfile.
container: str(HERE / "dfdc.sif")


UNFINISHED = unfinished_at_start(workflow.is_main_process)

# Where the answers are known, how good the scores are belongs to what is made.
EVALUATION = ["results/evaluation.json"] if TEST_LABELS else []
# Where trainings leave pairs out, how good the models are on these is worth knowing, too.
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
    """The code of a rule, as a parameter: if it changes, the rule runs again. ``modules`` are those of its settings."""
    return code_of(HERE / "workflow" / "scripts" / f"{rule_name}.py", *modules)


def unfinished(rule_name, wildcards):
    """How often a job did not come to its end, as a parameter: if it failed, it runs again.

    Snakemake deletes the output of a job that failed, but keeps its new parameters as if it had succeeded. Where what
    was made of the old output is still there, it would hold that for up to date, and never run the job again.
    """
    return f"{UNFINISHED.get('/'.join([rule_name, *wildcards]), 0)} unfinished attempts"


def shared(rule_name, *modules):
    """The parameters of every rule, ``code`` and ``unfinished``, as functions: they are asked for only where needed."""
    return {
        "code": lambda wildcards: code(rule_name, *modules),
        "unfinished": lambda wildcards: unfinished(rule_name, wildcards),
    }


def growing(mem_mb=4000, runtime=30):
    """Memory in MB and minutes of a job, as resources: so much more each time that it is tried again (``--retries``).

    Not among ``default-resources`` in profiles/default: that key would replace the one of a site's own profile, and
    with it the partition and account that jobs are submitted to.
    """
    return {
        "mem_mb": lambda wildcards, attempt: mem_mb * attempt,
        "runtime": lambda wildcards, attempt: runtime * attempt,
    }


def gpus(used=True):
    """The GPUs of a job that can make use of one, as a resource; ``--set-resources`` gives it more."""
    return int(used and config["speed"]["device"] != "cpu")


def settings(*path):
    """The settings at a place in the config, as a parameter: if they change, the rule runs again."""
    value = config
    for key in path:
        value = value[key]
    return canonical(value)


def model_settings(name, *keys):
    """Some settings of a model, as a parameter."""
    return canonical({key: config["models"][name][key] for key in keys})


def existing(path):
    """A file that the user provides, as an input; nothing for null and for packages."""
    return [path] if path and not path.startswith("package:") else []


def pretrained_of(wildcards):
    """The converted weights that a model starts from, if it starts from any."""
    architecture = config["models"][wildcards.model]["architecture"]
    if not config["pretrained"].get(architecture):
        return []
    return f"results/weights/{architecture}.safetensors"


def weights_of(wildcards):
    """Finished weights: those that the config names, or those of our own training."""
    return config["models"][wildcards.model]["weights"] or f"results/models/{wildcards.model}/weights.safetensors"


def videos_of_part(wildcards):
    """A hash over the names and sizes of a part's videos, as a parameter: other videos make its faces stale."""
    return parts.listing(f"{DATA}/{wildcards.part}/metadata.json")


def videos_of_shard(wildcards):
    """A hash over a shard's videos, as a parameter: new or other videos make its faces stale.

    It takes no input: Snakemake does not compare parameters that are functions of the input.
    """
    return parts.fingerprint(parts.shard_videos(str(TEST_VIDEOS), int(wildcards.shard), len(SHARDS)))


def figure(path, category, what):
    """A figure of the report; its caption has the same name."""
    caption = f"../workflow/report/{path.rpartition('.')[0]}.rst"
    return report(f"results/figures/{path}", caption=caption, category=category, labels={"figure": what})
