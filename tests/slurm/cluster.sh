#!/usr/bin/env bash
# A SLURM cluster of two pretended nodes, for tests: 32 cores, 4 GPUs and 256 GB each, whatever the machine has.
#
#   cluster.sh install          install SLURM and munge if they are missing (Debian's packages)
#   cluster.sh start FOLDER PORT PORT PORT
#                               start it on free ports; configuration, state and logs are in FOLDER, whose path is short
#   cluster.sh stop FOLDER      end all jobs, and then the cluster
#
# It needs root, and touches no SLURM that is there already: configuration, sockets and ports are its own.
# What wants to use it sets SLURM_CONF=FOLDER/slurm.conf and puts FOLDER/bin into PATH before all else.
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

have() { command -v "$1" >/dev/null; }
complain() { echo "$1" >&2; exit 3; }

install() {
    [ "$(id -u)" = 0 ] || complain "The tests of SLURM start its daemons, which takes root."
    have slurmctld && have slurmd && have sbatch && have munged && return
    have apt-get || complain "SLURM is not installed, and there is no apt-get to install it with."
    local said
    said=$({ apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        slurm-wlm munge; } 2>&1) || complain "Installing SLURM (apt-get install slurm-wlm munge) failed: ${said##*$'\n'}"
}

start() {
    local folder=$1 host
    host=$(hostname -s)
    mkdir -p "$folder"/{bin,state,spool}
    # Devices that SLURM can count and hand out: character devices, all of them like /dev/null.
    for number in {0..7}; do mknod "$folder/gpu$number" c 1 3; done
    echo "AutoDetect=off
NodeName=one Name=gpu Type=a100 File=$folder/gpu[0-3]
NodeName=two Name=gpu Type=a100 File=$folder/gpu[4-7]" >"$folder/gres.conf"
    cat >"$folder/slurm.conf" <<CONF
ClusterName=pretended
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort=$2
AuthInfo=socket=$folder/munge.socket
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
SlurmdParameters=config_overrides
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
MinJobAge=36000
KillWait=10
NodeName=DEFAULT CPUs=32 Boards=1 SocketsPerBoard=1 CoresPerSocket=32 ThreadsPerCore=1 RealMemory=256000 Gres=gpu:a100:4
NodeName=one NodeHostname=$host NodeAddr=127.0.0.1 Port=$3
NodeName=two NodeHostname=$host NodeAddr=127.0.0.1 Port=$4
PartitionName=cpu Nodes=ALL Default=YES MaxTime=INFINITE
PartitionName=gpu Nodes=ALL MaxTime=INFINITE
CONF
    # Snakemake's job steps call srun without the variables SLURM_*, of which this is one.
    printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$folder/slurm.conf" "$(command -v srun)" >"$folder/bin/srun"
    chmod +x "$folder/bin/srun"
    head --bytes 1024 /dev/urandom >"$folder/munge.key"
    chmod 600 "$folder/munge.key"
    munged --force --key-file "$folder/munge.key" --socket "$folder/munge.socket" --pid-file "$folder/munged.pid" \
        --log-file "$folder/munged.log" --seed-file "$folder/munged.seed"
    export SLURM_CONF=$folder/slurm.conf
    slurmctld
    slurmd -N one
    slurmd -N two
    for _ in {1..600}; do
        sleep 0.5
        [ -s "$folder/slurmctld.pid" ] && kill -0 "$(cat "$folder/slurmctld.pid")" || continue
        [ "$(sinfo --noheader --format=%T:%D --partition=gpu 2>/dev/null)" != idle:2 ] || return 0
    done
    complain "SLURM did not start, see $folder/*.log: $(tail -n 3 "$folder"/slurm*.log)"
}

stop() {
    local pid
    export SLURM_CONF=$1/slurm.conf
    # A process that goes on when it is told to end is killed by its node, KillWait later, if that is still there.
    for partition in cpu gpu; do scancel --partition=$partition || true; done
    for _ in {1..240}; do
        [ -n "$(timeout 10 squeue --noheader 2>/dev/null)" ] && sleep 0.5 || break
    done
    for daemon in slurmd-one slurmd-two slurmctld munged; do
        [ -s "$1/$daemon.pid" ] || continue
        pid=$(cat "$1/$daemon.pid")
        kill "$pid" || continue
        for _ in {1..40}; do [ -d "/proc/$pid" ] && sleep 0.25 || break; done
    done
}

"$@"
