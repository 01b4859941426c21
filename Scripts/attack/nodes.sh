# shellcheck shell=bash
# A node that is cut off, or dies with all that runs on it, on a cluster of two network namespaces.
attacks+=(node_cut_off node_silent node_dies)

cluster_scripts=${BASH_SOURCE[0]%/*}/../../Cluster/local

# start_on_nodes RUN ARGUMENT...: a rank on each node; $log and $launcher as of `start`.
start_on_nodes() {
    local run=$1
    shift
    log=$round/run-$((++run_count)).log
    "$cluster_scripts/run" "$dtrain" "${settings[@]}" --steps "$steps" --run-dir "$run" --checkpoint-every 1 "$@" >"$log" 2>&1 &
    launcher=$!
}

# lose_node HOW: a run on two nodes, whose second is lost at a step that is drawn; resumed on both, it has the same bits.
lose_node() {
    local how=$1 run=$round/run pids
    ((EUID == 0)) || skipped "a cluster of network namespaces needs root"
    export DTRAIN_CLUSTER=attack$$
    "$cluster_scripts/up" 2 >"$round/up.log" 2>&1 || skipped "no cluster can be made here: $(tail -n 1 "$round/up.log")"
    # The nodes have a /dev/shm of their own.
    unset OMPI_MCA_btl_vader_backing_directory OMPI_MCA_orte_tmpdir_base
    local stall=3
    if [[ $how == cut ]]; then
        # A cut connection says nothing, and Open MPI asks whether it still stands after 5 minutes, unless told otherwise.
        export OMPI_MCA_oob_tcp_keepalive_time=3 OMPI_MCA_oob_tcp_keepalive_intvl=1 OMPI_MCA_oob_tcp_keepalive_probes=3
        stall=60
    fi
    start_on_nodes "$run" --stall-timeout "$stall"
    # Early enough: a cable is pulled out by a command that takes its time, beside steps of milliseconds.
    draw 30
    wait_until has_lines "$run/metrics.jsonl" $((drawn + 2)) || broken "the run ended by itself; see $log"
    # Of a silent node mpirun does not hear for a quarter of an hour: there the ranks end, by their own watchdogs.
    local program=mpirun\ .*
    [[ $how != silent ]] || program=
    mapfile -t pids < <(pgrep -f -- "^($program)?$dtrain .*--run-dir $run ")
    case $how in
        dead)
            local processes
            mapfile -t processes < <(ip netns pids "$DTRAIN_CLUSTER-node2")
            kill -KILL "${processes[@]}"
            ;;
        *) "$cluster_scripts/link" node2 down ;;
    esac
    read_clock
    local since=$now
    if [[ $how == silent ]]; then
        processes_gone "${pids[@]}"
        read_clock
        record end $((now - since))
        kill -KILL "$launcher" 2>/dev/null || true
    else
        all_gone "$since" end "${pids[@]}"
    fi
    ended
    ((status != 0)) || broken "exit status 0 after the loss of a node; see $log"
    [[ $how != silent ]] || expect_words 'no progress for' 'hint:'
    expect_same_checkpoints "$run" "$references/2"
    record_lost "$run"
    "$cluster_scripts/link" node2 up
    start_on_nodes "$run" --resume auto
    expect_success
    expect_same_run "$run" "$references/2"
}

attack_node_cut_off() { lose_node cut; }
attack_node_silent() { lose_node silent; }
attack_node_dies() { lose_node dead; }
