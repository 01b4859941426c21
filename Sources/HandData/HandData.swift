// HandData
