module towpath.lab/pause

go 1.24
