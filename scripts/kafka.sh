#!/usr/bin/env bash
# One Apache Kafka node (KRaft: broker and controller in one JVM) for development, demos and tests.
# Needs Java 17; needs Maven once, to fetch Kafka's jars from Maven Central. No container, no ZooKeeper.
#
#   scripts/kafka.sh start     fetch what is missing, start, return when the broker answers
#   scripts/kafka.sh stop      orderly stop (SIGTERM, then SIGKILL after KAFKA_STOP_TIMEOUT_S)
#   scripts/kafka.sh kill      SIGKILL, as a crash would; the data stays
#   scripts/kafka.sh wipe      stop, then delete this instance's data (the jars stay)
#   scripts/kafka.sh status    exit 0 while this instance answers
#   scripts/kafka.sh fetch     fetch the jars and nothing else
#   scripts/kafka.sh format    make this instance's empty storage, which `start` does where there is none
#
# Every process that it signals is one that it started: the pid file is believed only if that process's command line
# names this instance's configuration.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
version=${KAFKA_VERSION:-4.1.0}
scala=2.13
port=${KAFKA_PORT:-9092}                                # clients, on loopback
controller_port=${KAFKA_CONTROLLER_PORT:-$((port + 1))} # the quorum of one, on loopback
instance=${KAFKA_INSTANCE:-$root/.cache/kafka/node-$port} # data, log, configuration and pid of this instance
jars=${KAFKA_JARS:-$root/.cache/kafka/jars-$version}    # shared by all instances
heap=${KAFKA_HEAP:-512m}
jvm=${KAFKA_JVM:--XX:+UseG1GC}                          # options of the Java virtual machine
extra=${KAFKA_PROPERTIES:-}                             # more lines for the broker's configuration, as it has them
cluster_id=${KAFKA_CLUSTER_ID:-}                        # the same for all nodes of a cluster; empty: a random one
partitions=${KAFKA_PARTITIONS:-4}
start_timeout_s=${KAFKA_START_TIMEOUT_S:-60}
stop_timeout_s=${KAFKA_STOP_TIMEOUT_S:-30}

mkdir -p "$instance" "$(dirname "$jars")"
instance=$(cd "$instance" && pwd)
config=$instance/server.properties
log=$instance/server.log
pid_file=$instance/pid

tell() { echo "kafka: $*" >&2; }
fail() { tell "$*"; exit 1; }

# The pid of this instance's JVM, or failure. Pid files outlive reboots, and pids are used again.
running_pid() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) && [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null || return 1
  [ ! -r "/proc/$pid/cmdline" ] || tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF -- "$config" || return 1
  echo "$pid"
}

# Whether the broker answers an ApiVersions request. An open port is not enough: it opens before the logs are recovered.
# Request: length 12, key 18, version 0, correlation id 7, client id "tw". Answer: length, correlation id, error code 0.
answers() {
  local hex
  hex=$({
    exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 1
    printf '\0\0\0\014\0\022\0\0\0\0\0\007\0\002tw' >&3
    timeout 2 head -c 10 <&3 | od -An -v -tx1 | tr -d ' \n'
  } 2>/dev/null) || return 1
  [ "${hex:8}" = 000000070000 ]
}

fetch() {
  [ ! -e "$jars/kafka_$scala-$version.jar" ] || return 0
  command -v mvn >/dev/null || fail "Kafka's jars are not in $jars and there is no mvn to fetch them; install Maven"
  tell "fetching Kafka $version from Maven Central (once)"
  local work
  work=$(mktemp -d "$(dirname "$jars")/fetch.XXXXXX") # two instances may fetch at once: each aside, then one rename
  cat >"$work/pom.xml" <<XML
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>tidewise</groupId><artifactId>kafka-node</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_$scala</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
XML
  (cd "$work" && mvn -q -B dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$work/jars") >&2
  mv -T "$work/jars" "$jars" 2>/dev/null || [ -e "$jars/kafka_$scala-$version.jar" ] || fail "cannot put the jars into $jars"
  rm -rf "$work"
}

configure() {
  cat >"$config" <<PROPERTIES
# Written by scripts/kafka.sh at every start.
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$controller_port
controller.listener.names=CONTROLLER
listeners=CLIENTS://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller_port
advertised.listeners=CLIENTS://127.0.0.1:$port
listener.security.protocol.map=CLIENTS:${KAFKA_PROTOCOL:-PLAINTEXT},CONTROLLER:PLAINTEXT
inter.broker.listener.name=CLIENTS
log.dirs=$instance/data
num.partitions=$partitions
auto.create.topics.enable=false
message.max.bytes=10485760
# One node: internal topics have one replica.
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# A worker alone in its group need not wait 3 s for company.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# A killed broker may come back when its old session has ended: 3 s instead of 9.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
$extra
PROPERTIES
}

format() {
  [ ! -e "$instance/data/meta.properties" ] || return 0
  # 16 bytes as URL-safe base64; the leading letter keeps it from looking like an option.
  [ -n "$cluster_id" ] || cluster_id=T$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n' | cut -c1-20)A
  # shellcheck disable=SC2086  # several options
  java $jvm -cp "$jars/*" kafka.tools.StorageTool format --cluster-id "$cluster_id" --config "$config" >>"$log" 2>&1 ||
    fail "formatting $instance/data failed: $(tail -1 "$log")"
}

start() {
  local pid deadline
  if pid=$(running_pid); then
    tell "runs already, pid $pid"
    return
  fi
  command -v java >/dev/null || fail "there is no java; install a Java runtime, version 17 or newer"
  ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || fail "port $port is taken; set KAFKA_PORT to a free one"
  fetch
  configure
  format
  # A session of its own: Ctrl-C at the caller's terminal does not reach the JVM.
  (
    cd "$instance"
    # shellcheck disable=SC2086  # several options
    exec setsid java "-Xms$heap" "-Xmx$heap" $jvm -XX:+ExitOnOutOfMemoryError \
      -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
      -cp "$jars/*" kafka.Kafka "$config" </dev/null >>"$log" 2>&1
  ) &
  echo $! >"$pid_file"
  deadline=$((SECONDS + start_timeout_s))
  until answers; do
    kill -0 "$(cat "$pid_file")" 2>/dev/null || fail "it ended while starting: $(tail -1 "$log") (see $log)"
    [ $SECONDS -lt $deadline ] || { kill -s KILL "$(cat "$pid_file")"; fail "it did not answer within $start_timeout_s s, see $log"; }
    sleep 0.1
  done
  tell "answers on 127.0.0.1:$port, pid $(cat "$pid_file")"
}

end_with() { # $1: the signal
  local pid deadline
  if ! pid=$(running_pid); then
    rm -f "$pid_file"
    return
  fi
  kill -s "$1" "$pid"
  deadline=$((SECONDS + stop_timeout_s))
  while kill -0 "$pid" 2>/dev/null; do
    if [ $SECONDS -ge $deadline ]; then
      tell "it did not stop within $stop_timeout_s s; killing it"
      kill -s KILL "$pid" 2>/dev/null || true
      deadline=$((SECONDS + stop_timeout_s))
    fi
    sleep 0.1
  done
  rm -f "$pid_file"
  tell "stopped"
}

case ${1:-} in
  start) start ;;
  stop) end_with TERM ;;
  kill) end_with KILL ;;
  wipe) end_with TERM && rm -rf "$instance" ;;
  status) pid=$(running_pid) && answers && tell "answers on 127.0.0.1:$port, pid $pid" ;;
  fetch) fetch ;;
  format) fetch && configure && format ;;
  *) fail "wanted start, stop, kill, wipe, status, fetch or format, got '${1:-}'" ;;
esac
