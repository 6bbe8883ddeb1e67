package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/infra/bundle"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

// builtFunction is a function's zip, as `functions build` prints it.
type builtFunction struct {
	Function string `json:"function"`
	File     string `json:"file"`
	Bytes    int64  `json:"bytes"`
	SHA256   string `json:"sha256"` // in hex
	// CodeSHA256 is the same as Lambda tells it, in base64.
	CodeSHA256 string `json:"codeSha256"`
}

func newFunctionsBuild(common *cli.Flags) *cobra.Command {
	var outputDir string
	cmd := &cobra.Command{
		Use:   "build [NAME]...",
		Short: "Build functions for Lambda: a zip each, the same bytes wherever it is built",
		Long: `Build functions for Lambda: a zip each with a program for arm64. Without a NAME, all
of the project. The same code makes the same bytes, on whichever machine and from
whichever commit, and they are those that a deployment uploads: if the code that
Lambda has is this one, its CodeSha256 is the codeSha256 of --output json.

It needs Go alone.`,
		Example:           "  penstock functions build\n  penstock functions build withdrawal-fee --output-dir dist",
		ValidArgsFunction: completeFunctionNames,
		RunE: func(cmd *cobra.Command, args []string) error {
			root, err := project.Root()
			if err != nil {
				return err
			}
			functions, err := functionsOf(root, args)
			if err != nil {
				return err
			}
			dir := outputDir
			if !cmd.Flags().Changed("output-dir") {
				dir = filepath.Join(root, filepath.FromSlash(outputDir))
			}
			built := []builtFunction{}
			var rows [][]string
			for _, f := range functions {
				b, err := buildFunction(cmd.Context(), root, &f, dir, cmd.ErrOrStderr())
				if err != nil {
					return err
				}
				built = append(built, b)
				rows = append(rows, []string{b.Function, b.File, strconv.FormatInt(b.Bytes, 10), b.SHA256})
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), built)
			}
			return cli.Table(cmd.OutOrStdout(), []string{"FUNCTION", "FILE", "BYTES", "SHA256"}, rows)
		},
	}
	cmd.Flags().StringVar(&outputDir, "output-dir", ".penstock/build", "`folder` for the zips, made if there is none; the default is in the project's root")
	_ = cmd.MarkFlagDirname("output-dir")
	return cmd
}

// functionsOf finds functions by their short names; without names, all of the
// project's.
func functionsOf(root string, args []string) ([]manifest.Function, error) {
	if len(args) == 0 {
		return manifest.Load(os.DirFS(root))
	}
	var out []manifest.Function
	for _, name := range args {
		f, err := findFunction(root, name)
		if err != nil {
			return nil, err
		}
		if f.Dir == "" {
			return nil, cli.Misusef("%s is a program of Penstock's own: a deployment builds it with its stack", name)
		}
		out = append(out, f)
	}
	return out, nil
}

// buildFunction builds a function's zip in a folder.
func buildFunction(ctx context.Context, root string, f *manifest.Function, dir string, progress io.Writer) (out builtFunction, err error) {
	temp, err := os.MkdirTemp("", "penstock-build-")
	if err != nil {
		return out, err
	}
	defer os.RemoveAll(temp)
	program, err := bundle.Build(ctx, root, f.Code(), temp, progress)
	if err != nil {
		return out, err
	}
	out = builtFunction{Function: f.Name, File: filepath.Join(dir, f.Name+".zip")}
	if err := bundle.Pack(out.File, os.DirFS(program), os.DirFS(root), f.Files()); err != nil {
		return out, err
	}
	file, err := os.Open(out.File)
	if err != nil {
		return out, err
	}
	defer file.Close()
	sum := sha256.New()
	if out.Bytes, err = io.Copy(sum, file); err != nil {
		return out, fmt.Errorf("%s: %w", out.File, err)
	}
	out.SHA256, out.CodeSHA256 = hex.EncodeToString(sum.Sum(nil)), base64.StdEncoding.EncodeToString(sum.Sum(nil))
	return out, nil
}

// completeFunctionNames completes any number of arguments with the project's
// functions.
func completeFunctionNames(_ *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	return completeFunctions(nil, nil, "")
}
