#pragma once
#include <mpi.h>

// MPI's constants are macros that cast addresses; Swift imports none of them. Getters give them names.
static inline MPI_Comm dtrain_comm_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Info dtrain_info_null(void) { return MPI_INFO_NULL; }
static inline MPI_Errhandler dtrain_errors_return(void) { return MPI_ERRORS_RETURN; }
static inline MPI_Status *dtrain_status_ignore(void) { return MPI_STATUS_IGNORE; }
static inline MPI_Status *dtrain_statuses_ignore(void) { return MPI_STATUSES_IGNORE; }
static inline MPI_Datatype dtrain_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype dtrain_double(void) { return MPI_DOUBLE; }
static inline MPI_Datatype dtrain_byte(void) { return MPI_BYTE; }
static inline MPI_Op dtrain_sum(void) { return MPI_SUM; }
static inline MPI_Op dtrain_max(void) { return MPI_MAX; }
static inline int dtrain_any_source(void) { return MPI_ANY_SOURCE; }
static inline int dtrain_any_tag(void) { return MPI_ANY_TAG; }
static inline void *dtrain_in_place(void) { return MPI_IN_PLACE; }
static inline void *dtrain_bottom(void) { return MPI_BOTTOM; }
// An enumerator that other MPI libraries define as a macro.
static inline int dtrain_comm_type_shared(void) { return MPI_COMM_TYPE_SHARED; }
