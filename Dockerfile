# The environment of the workflow, with PyTorch's build for CUDA: all packages of requirements.txt. The program is not in
# it, but run from the checkout (see docs/containers.md).
#
#   docker build --tag dfdc .

FROM python:3.11.14-slim-bookworm

# torch.compile (speed.compile) needs a C compiler.
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev && rm -rf /var/lib/apt/lists/*

# The packages bring along what they need but for the C and C++ libraries, which are in the base.
COPY requirements.txt /opt/dfdc/
RUN pip install --no-cache-dir --disable-pip-version-check --requirement /opt/dfdc/requirements.txt

# Who it runs as is for `docker run --user` to say: any number will do, with no name and no home in here.
ENV HOME=/tmp USER=dfdc PYTHONDONTWRITEBYTECODE=1
USER 1000:1000
