package lambda

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"os"
	"runtime"
)

// code is what Lambda tells of a function's code.
type code struct {
	size   int64
	sha256 string // base64
}

func readCode(path string) (code, error) {
	f, err := os.Open(path)
	if err != nil {
		return code{}, err
	}
	defer f.Close()
	h := sha256.New()
	size, err := io.Copy(h, f)
	return code{size, base64.StdEncoding.EncodeToString(h.Sum(nil))}, err
}

// architecture is this machine's, as Lambda names it.
var architecture = map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
