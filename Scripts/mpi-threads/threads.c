// What a rank's small collectives take while a part of a checkpoint travels beside them, carried by a second thread that calls
// MPI (MPI_THREAD_MULTIPLE) or by the thread that makes the steps (MPI_THREAD_FUNNELED). Rank 1 sends, rank 0 receives.
// Usage: mpirun -np 2 threads none|main|thread SECONDS
#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { bytes = 4 << 20, samples_max = 1 << 20 };
static MPI_Comm side;
static char *buffer;
static atomic_int ending;
static atomic_long moved;
static int rank;

static int by_time(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void start(MPI_Request *request) {
    if (rank == 0)
        MPI_Irecv(buffer, bytes, MPI_BYTE, 1, 0, side, request);
    else
        MPI_Isend(buffer, bytes, MPI_BYTE, 0, 0, side, request);
}

// The second thread: sleeps while nothing has come, as a helper must where ranks outnumber processors.
static void *carry(void *unused) {
    while (!ending) {
        MPI_Request request;
        int done = 0;
        start(&request);
        while (!done && !ending) {
            MPI_Test(&request, &done, MPI_STATUS_IGNORE);
            if (!done) usleep(100);
        }
        if (done) moved++;
    }
    return unused;
}

int main(int count, char **words) {
    if (count < 3) return 64;
    int is_thread = !strcmp(words[1], "thread"), is_main = !strcmp(words[1], "main"), provided;
    MPI_Init_thread(NULL, NULL, is_thread ? MPI_THREAD_MULTIPLE : MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_dup(MPI_COMM_WORLD, &side);
    buffer = calloc(1, bytes);
    double *times = malloc(samples_max * sizeof *times), end = MPI_Wtime() + atof(words[2]);
    double other[1024] = {0};
    long number = 0;
    pthread_t thread;
    MPI_Request request = MPI_REQUEST_NULL;
    if (is_thread) pthread_create(&thread, NULL, carry, NULL);
    if (is_main) start(&request);
    for (double sum = 0; sum == 0;) {
        // A piece of computation, then a small sum over the ranks.
        for (int k = 0; k < 200; k++)
            for (int i = 0; i < 1024; i++) other[i] = other[i] * 0.999 + k;
        double began = MPI_Wtime(), value = began > end ? 1 : 0;
        MPI_Request waiting;
        int done = 0;
        MPI_Iallreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD, &waiting);
        // As dtrain waits: yields for a moment, then sleeps.
        for (;;) {
            MPI_Test(&waiting, &done, MPI_STATUS_IGNORE);
            if (done) break;
            double waited = (MPI_Wtime() - began) * 1e6;
            if (waited < 50) sched_yield();
            else usleep(waited / 8 < 200 ? waited / 8 : 200);
        }
        if (number < samples_max) times[number++] = MPI_Wtime() - began;
        sum = value;
        if (is_main && request != MPI_REQUEST_NULL) {
            MPI_Test(&request, &done, MPI_STATUS_IGNORE);
            if (done) {
                moved++;
                start(&request);
            }
        }
    }
    ending = 1;
    if (is_thread) pthread_join(thread, NULL);
    qsort(times, number, sizeof *times, by_time);
    if (rank == 0)
        printf("%-8s thread level %d of %d: a sum's median %.1f us, 99%% below %.0f us; %.0f MB/s beside\n", words[1], provided,
               MPI_THREAD_MULTIPLE, times[number / 2] * 1e6, times[number * 99 / 100] * 1e6, moved * 4.194304 / atof(words[2]));
    fflush(NULL);
    // Messages may be under way.
    MPI_Barrier(MPI_COMM_WORLD);
    _exit(0);
}
