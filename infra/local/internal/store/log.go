package store

import "github.com/cockroachdb/pebble/v2/vfs"

// logCategory is what Pebble says of a file that it makes for its write-ahead
// log.
const logCategory = "pebble-wal"

// logFS is the file system, on which a log grows by zeros, much at a time. To
// sync what was written behind a file's end is to write the file's new size to
// the disk too, for every commit. Pebble uses old logs anew for the same reason,
// but not before it has some, which is after tens of megabytes.
//
// Pebble would by itself also watch for operations that take long; nobody is
// told of them here, so that is left out.
type logFS struct{ vfs.FS }

func (fs logFS) Unwrap() vfs.FS { return fs.FS }

func (fs logFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, category)
	if err != nil || category != logCategory {
		return f, err
	}
	return &logFile{File: f}, nil
}

func (fs logFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(oldname, newname, category)
	if err != nil || category != logCategory {
		return f, err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &logFile{File: f, size: info.Size()}, nil
}

// logFile is a log that is being written, from its beginning and by one
// goroutine.
type logFile struct {
	vfs.File
	end  int64 // of what was written
	size int64 // of the file: the rest is zeros, or of an old log
}

// logGrowth is by how many bytes a log grows.
const logGrowth = 1 << 20

var zeros [logGrowth]byte

// Write writes records. What follows the last one of a log may be anything:
// reading ends there.
func (f *logFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	f.end += int64(n)
	if err != nil || f.end <= f.size {
		return n, err
	}
	grown := (f.end/logGrowth + 1) * logGrowth
	if _, err := f.WriteAt(zeros[:grown-f.end], f.end); err != nil {
		return n, err
	}
	f.size = grown
	return n, nil
}
