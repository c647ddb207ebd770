#!/usr/bin/env bash
# A real Slurm on this machine, for the tests: start.sh [--accounting] FOLDER [NODES] [GPUS of each node]
# Needs root and Debian's slurm-wlm and munge; with accounting also slurmdbd, mariadb-server-core and mariadb-client-core.
# The GPUs are pretend ones of type h100; the nodes share this machine. Jobs in the partition `urgent` preempt those
# in `gpu`, and those in `patient` with a grace time.
# The configuration lies in /etc/slurm, since snakemake-executor-plugin-slurm drops SLURM_CONF before its srun.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
accounting=
[ "${1-}" != --accounting ] || { accounting=yes; shift; }
folder=$(realpath -m "${1:?start.sh [--accounting] FOLDER [NODES] [GPUS]}") nodes=${2:-2} gpus=${3:-2} host=$(hostname -s)
conf=/etc/slurm/slurm.conf mark="# Joulebench's tests wrote this."

complain() { echo "start.sh: $1" >&2; exit 1; }
[ "$(id -u)" = 0 ] || complain "Slurm's daemons are started as root here; found user $(id -un)"
programs=(slurmctld slurmd munged) packages="slurm-wlm munge"
[ -z $accounting ] || { programs+=(slurmdbd mariadbd) packages+=" slurmdbd mariadb-server-core mariadb-client-core"; }
for program in "${programs[@]}"; do
  command -v $program >/dev/null || complain "no $program; apt-get install -y --no-install-recommends $packages"
done
if [ -e $conf ]; then
  [ "$(head -1 $conf)" = "$mark" ] || complain "$conf is not of these tests: this machine has a Slurm of its own; it stays as it is"
  "$here/stop.sh" "$(sed -n 's/^# Folder: //p' $conf)"
fi
! ps -C slurmctld,slurmd -o stat= | grep -qv ^Z ||
  complain "a slurmctld or slurmd is running that these tests did not start"

mkdir -p "$folder"/{state,log} /etc/slurm
{
  for ((n = 1; n <= nodes; n++)); do
    mkdir -p "$folder/n$n"
    # Slurm refuses a GPU without a device file; a clone of /dev/null stands in for /dev/nvidiaN.
    for ((g = 0; g < gpus; g++)); do [ -e "$folder/n$n/nvidia$g" ] || mknod "$folder/n$n/nvidia$g" c 1 3; done
    echo "NodeName=n$n Name=gpu Type=h100 File=$folder/n$n/nvidia[0-$((gpus - 1))]"
  done
} > /etc/slurm/gres.conf
# In seconds: KillWait, from SIGTERM to SIGKILL; cred_expire, for which a job that was requeued is held back (by default 120);
# sched_interval and bf_interval, at which the scheduler looks by itself. config_overrides: each node has the whole machine.
cat > $conf <<CONF
$mark
# Folder: $folder
ClusterName=joulebench
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=8
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/$([ -z $accounting ] && echo none || echo slurmdbd)
AccountingStorageHost=127.0.0.1
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MinJobAge=300
SchedulerParameters=sched_interval=2,bf_interval=2
KillWait=10
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
GresTypes=gpu
$(for ((n = 1; n <= nodes; n++)); do
  echo "NodeName=n$n NodeHostname=$host NodeAddr=127.0.0.1 Port=$((17000 + n)) CPUs=$(nproc)" \
    "RealMemory=$(free -m | awk '/^Mem:/ {print $2}') Gres=gpu:h100:$gpus State=UNKNOWN"
done)
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1 State=UP
PartitionName=patient Nodes=ALL MaxTime=INFINITE PriorityTier=1 GraceTime=8 State=UP
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=2 State=UP
CONF

if ! munge -n >/dev/null 2>&1; then
  install -d -o munge -g munge /run/munge
  [ -e /etc/munge/munge.key ] || mungekey --create
  runuser -u munge -- munged --pid-file=/run/munge/munged.pid
  touch "$folder/munged-is-ours"
fi
if [ -n "$accounting" ]; then
  mkdir "$folder/db"
  mariadb-install-db --no-defaults --user=root --datadir="$folder/db" --auth-root-authentication-method=normal >"$folder/log/db.log"
  mariadbd --no-defaults --user=root --datadir="$folder/db" --socket="$folder/db.sock" --port=33306 --bind-address=127.0.0.1 \
    --pid-file="$folder/mariadbd.pid" >>"$folder/log/db.log" 2>&1 &
  sql() { mariadb --no-defaults -S "$folder/db.sock" -e "$1" >/dev/null 2>&1; }
  for _ in {1..300}; do sql "select 1" && break; sleep 0.1; done
  sql "create user slurm@127.0.0.1 identified by 'slurm'; create user slurm@localhost identified by 'slurm';
    grant all on slurm_acct_db.* to slurm@127.0.0.1; grant all on slurm_acct_db.* to slurm@localhost"
  install -m 600 /dev/stdin /etc/slurm/slurmdbd.conf <<CONF
AuthType=auth/munge
DbdHost=$host
DbdAddr=127.0.0.1
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=33306
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
LogFile=$folder/log/slurmdbd.log
PidFile=$folder/slurmdbd.pid
CONF
  slurmdbd
  for _ in {1..300}; do sacctmgr -n list cluster >/dev/null 2>&1 && break; sleep 0.1; done
  { sacctmgr -i add cluster joulebench && sacctmgr -i add account bench && sacctmgr -i add user root account=bench; } \
    >"$folder/log/sacctmgr.log"
fi
slurmctld
for ((n = 1; n <= nodes; n++)); do slurmd -N "n$n"; done
for _ in {1..100}; do
  [ "$(sinfo -h -p gpu -N -o %T 2>/dev/null | grep -cx idle)" = "$nodes" ] && exec sinfo -p gpu -N -o "%N %T %c %m %G"
  sleep 0.1
done
sinfo -N -l >&2 || true
complain "the nodes are not idle after 10 s; see $folder/log"
