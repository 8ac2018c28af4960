"""Third-place solution of the Deepfake Detection Challenge: from videos to submission.csv."""

import os
import sys
from pathlib import Path

from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.0")

HERE = Path(workflow.basedir)
# This file and the scripts use the library of the checkout, whether or not it is installed.
sys.path.insert(0, str(HERE / "lib"))
os.environ.update(PYTHONPATH=os.pathsep.join([str(HERE / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])]))
# Some schedulers start jobs with an empty environment, and Snakemake cannot do without this.
os.environ.setdefault("PATH", os.defpath)

from dfdc.config.check import check_config, drop_removed_models
from dfdc.preflight.inputs import check_inputs
from dfdc.system.errors import UserError


configfile: str(HERE / "config.yaml")


try:
    drop_removed_models(config)
    check_config(config)
    if workflow.is_main_process and "demo" not in config:
        check_inputs(config)
except UserError as error:
    # Not a WorkflowError, which would point to a line of this file instead of the user's mistake.
    logger.error(str(error))
    sys.exit(1)


include: "rules/common.smk"
include: "rules/faces.smk"
include: "rules/pairs.smk"
include: "rules/train.smk"
include: "rules/validation.smk"
include: "rules/predict.smk"
include: "rules/report.smk"


if "demo" in config:

    include: "rules/demo.smk"


localrules:
    all,


rule all:
    default_target: True
    input:
        EVERYTHING,
