"""Third-place solution of the Deepfake Detection Challenge: from videos to submission.csv."""

import logging
import os
import sys
from pathlib import Path

from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.0")

# A log file that cannot be written, on a full disk, is no reason to print a traceback.
logging.raiseExceptions = False

# The folder of this file, even if another workflow imports it as a module.
HERE = Path(workflow.snakefile).parent
if not (HERE / "lib").is_dir():
    logger.error(
        f"The workflow needs the folder lib beside its Snakefile, which {workflow.snakefile} does not have. In the module "
        'statement, name the Snakefile of a clone or, of a repository at a hosting service, path="workflow/Snakefile" (see '
        "docs/modules.md)."
    )
    sys.exit(1)
# This file and the scripts use the library of the checkout, whether or not it is installed.
sys.path.insert(0, str(HERE / "lib"))
os.environ.update(PYTHONPATH=os.pathsep.join([str(HERE / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])]))
# Some schedulers start jobs with an empty environment, and Snakemake cannot do without this.
os.environ.setdefault("PATH", os.defpath)

from dfdc.config.check import check_config, drop_removed_models
from dfdc.config.reading import check_size, merged, on_base, read_yaml
from dfdc.system.errors import UserError
from dfdc.system.jobs.places import check_places
from dfdc.system.jobs.runs import end_with_message

try:
    # Before Snakemake reads it, which has no messages for some mistakes.
    SETTINGS = read_yaml(HERE / "config.yaml")
    check_size(config, "--configfile or --config")
    CHANGES = on_base(HERE, config)
except (UserError, OSError) as error:
    end_with_message(logger, error)


configfile: str(HERE / "config.yaml")


if workflow.modifier.skip_configfile or "base" in config:
    # A module with `config:`, for which Snakemake does not read the file above; a profile with settings below the user's.
    config = merged(SETTINGS, CHANGES)
try:
    drop_removed_models(config)
    check_config(config)
    check_places(workflow, HERE, config)
except UserError as error:
    end_with_message(logger, error)


include: "rules/common.smk"
include: "rules/faces.smk"
include: "rules/pairs.smk"
include: "rules/train.smk"
include: "rules/validation.smk"
include: "rules/predict.smk"
include: "rules/external.smk"
include: "rules/report.smk"


if "demo" in config:

    include: "rules/demo.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        EVERYTHING,
