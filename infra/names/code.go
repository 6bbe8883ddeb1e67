package names

import "strings"

// What a template's function resource says of itself in its Metadata.
const (
	// CodeMetadata is the key of the folder of the function's code, relative
	// to the project's root, such as "functions/withdrawal-fee". The code of
	// one of Penstock's own programs has its import path instead, since an
	// adopter has it in the module cache; Package tells the two apart.
	CodeMetadata = "penstock:code"

	// FilesMetadata is the key of a list of files of the project, such as
	// "functions/trade-enrichment/function.json", that the function's program
	// finds below its LAMBDA_TASK_ROOT, at the same paths. A function without
	// any has no such key.
	FilesMetadata = "penstock:files"

	// FunctionMetadata is the key of the function's short name.
	FunctionMetadata = "penstock:function"
)

// BuildContext is the key of the CDK's context that, with the value false, has
// package stacks synthesize templates without compiling the programs.
const BuildContext = "penstock:build"

// SystemPackages is the import path above Penstock's own programs.
const SystemPackages = "github.com/penstock-dev/penstock/functions/system/"

// Package turns the value of CodeMetadata into what `go build` takes as a
// package in the project's root: "./functions/withdrawal-fee" for a folder, an
// import path unchanged. An import path is known by the dot in its first
// element, which no folder of a project has.
func Package(code string) string {
	first, _, _ := strings.Cut(code, "/")
	if strings.Contains(first, ".") {
		return code
	}
	return "./" + code
}
