package reference_test

import (
	"testing"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/scripts/internal/reference"
)

func TestThePagesSayWhatHelpPrintsAndMarkdownReadsNothingIntoIt(t *testing.T) {
	root := &cobra.Command{Use: "shop", Long: "Keeps a <shop>."}
	root.PersistentFlags().Bool("debug", false, "tell more")
	root.AddGroup(&cobra.Group{ID: "stock", Title: "The stock:"})
	orders := &cobra.Command{Use: "orders", Short: "The orders", GroupID: "stock"}
	list := &cobra.Command{
		Use: "list [NAME]", Short: "List a|b", Long: "List the orders, by `a*b` or *.\n\n  one    two\n  three  four",
		Example: "  shop orders list\n  shop orders list --open", Run: func(*cobra.Command, []string) {},
	}
	list.Flags().Bool("open", false, "only those that are open")
	hidden := &cobra.Command{Use: "hidden", Hidden: true, Run: func(*cobra.Command, []string) {}}
	orders.AddCommand(list, hidden)
	root.AddCommand(orders)

	pages := reference.Pages(root)
	const generated = "<!-- This page is what --help prints. go generate ./... writes it: do not edit. -->\n\n"
	for name, want := range map[string]string{
		reference.Index: generated + "# shop\n\nKeeps a \\<shop\\>.\n\nEvery command has these flags:\n\n```\n    --debug   tell more\n```\n" +
			"\n## The stock\n\n| command | |\n| --- | --- |\n| [`shop orders list`](orders.md#shop-orders-list) | List a\\|b |\n",
		"orders.md": generated + "# shop orders\n\nThe orders\n\n## shop orders list\n\nList the orders, by `a*b` or \\*.\n\n```\n  one    two\n  three  four\n```\n" +
			"\n```\nshop orders list [NAME] [flags]\n```\n\n```\nshop orders list\nshop orders list --open\n```\n\n```\n    --open   only those that are open\n```\n",
	} {
		if got := string(pages[name]); got != want {
			t.Errorf("%s is\n%s\nwant\n%s", name, got, want)
		}
	}
	if len(pages) != 2 {
		t.Errorf("%d pages, want 2", len(pages))
	}
}
