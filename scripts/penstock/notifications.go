package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/penstock-dev/penstock/functions/handler/notification"
	"github.com/penstock-dev/penstock/infra/manifest"
	"github.com/penstock-dev/penstock/scripts/internal/cli"
	"github.com/penstock-dev/penstock/scripts/internal/eventtypes"
	"github.com/penstock-dev/penstock/scripts/internal/project"
)

func newNotifications(common *cli.Flags) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "notifications",
		Short: "The project's notification templates: what text is made of which event",
		Long: `The project's notification templates: what text is made of which event.

A template has a name, an event type, a condition (an event pattern over the
event's detail), and a body with placeholders: {data.accountId} stands for that
value of the event, {data.lines[0].id} for one in a list, and {{ for a brace. The
values are escaped for the body's kind: text, json or xml.

The templates of a function are in notifications.json beside its manifest, where
a subscription says "receive": "notifications". These commands read and edit that
file, which the function embeds: a change takes effect when it is deployed, or at
once under ` + "`penstock dev`" + `.`,
	}
	cmd.AddCommand(newNotificationsCreate(common), newNotificationsList(common), newNotificationsGet(common),
		newNotificationsSwitch(common, "activate", true), newNotificationsSwitch(common, "deactivate", false), newNotificationsDelete(common))
	return cmd
}

// templates are the notification templates of a project.
type templates struct {
	root      string
	functions []manifest.Function
	types     *eventtypes.Types
}

func loadTemplates() (*templates, error) {
	root, err := project.Root()
	if err != nil {
		return nil, err
	}
	files := os.DirFS(root)
	functions, err := manifest.Load(files)
	if err != nil {
		return nil, err
	}
	types, err := eventtypes.Load(files)
	return &templates{root, functions, types}, err
}

// loadTemplate loads the project's templates, and finds one of them.
func loadTemplate(name string) (*templates, *manifest.Function, *notification.Template, error) {
	p, err := loadTemplates()
	if err != nil {
		return nil, nil, nil, err
	}
	f, t, err := p.find(name)
	return p, f, t, err
}

// find finds a template by its name, and the function that has it.
func (p *templates) find(name string) (*manifest.Function, *notification.Template, error) {
	var known []string
	for i := range p.functions {
		for _, t := range p.functions[i].Notifications {
			if t.Name == name {
				return &p.functions[i], t, nil
			}
			known = append(known, t.Name)
		}
	}
	return nil, nil, cli.Unknown("notification", name, known)
}

// file is the file of a function's templates, in the project.
func (p *templates) file(f *manifest.Function) string { return path.Join(f.Dir, notification.FileName) }

// save writes the file of a function's templates, whole or not at all.
func (p *templates) save(f *manifest.Function) error {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	list := f.Notifications
	if list == nil {
		list = []*notification.Template{} // not null, which is no list
	}
	if err := e.Encode(list); err != nil {
		return err
	}
	return project.WriteFile(p.root, p.file(f), out.Bytes())
}

// shownTemplate is a template as the commands print it.
type shownTemplate struct {
	Function string `json:"function"`
	File     string `json:"file"`
	*notification.Template
}

// printed writes what a command did, or the template as JSON.
func (p *templates) printed(cmd *cobra.Command, common *cli.Flags, f *manifest.Function, t *notification.Template, did string) error {
	if common.JSON() {
		return cli.JSON(cmd.OutOrStdout(), shownTemplate{f.Name, p.file(f), t})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %q in %s\n", did, t.Name, p.file(f))
	return err
}

// completeNotifications completes a command's one argument with the templates'
// names.
func completeNotifications(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	p, err := loadTemplates()
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var out []string
	for _, f := range p.functions {
		for _, t := range f.Notifications {
			out = append(out, cobra.CompletionWithDesc(t.Name, t.Event))
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func newNotificationsCreate(common *cli.Flags) *cobra.Command {
	var function, condition, body, kind string
	var inactive bool
	t := &notification.Template{}
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Add a template to a function",
		Long: `Add a template to a function, one of whose subscriptions to the event type says
"receive": "notifications". The NAME is 1 to 255 characters, and no other
template's in the project.

Everything is checked first: the condition and the placeholders against the type's
schema, and that the body becomes what its kind says, whatever the values are.`,
		Example: `  penstock notifications create 'Large withdrawal' --function mails --event savings/SAVINGS_WITHDRAWAL \
      --condition '{"data": {"amount": [{"numeric": [">", 10000]}]}}' \
      --body '{data.amount} {data.currency} left account {data.accountId}.'
  penstock notifications create fee --function mails --event savings/FEE_CHARGED --kind xml --body @fee.xml
  penstock notifications create fee --function mails --event savings/FEE_CHARGED --kind json --body - < fee.json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := loadTemplates()
			if err != nil {
				return err
			}
			if function == "" || t.Event == "" || body == "" {
				return cli.Misusef("want --function, --event and --body")
			}
			event, err := p.types.Find(t.Event)
			if err != nil {
				return err
			}
			text, err := input(cmd.InOrStdin(), "--body", body)
			if err != nil {
				return err
			}
			t.Name, t.Event, t.Kind, t.Active = args[0], event.String(), notification.Kind(kind), !inactive
			t.Body = strings.TrimSuffix(text, "\n")
			if condition != "" {
				text, err := input(nil, "--condition", condition)
				if err != nil {
					return err
				}
				if t.Condition = json.RawMessage(strings.TrimSpace(text)); !json.Valid(t.Condition) {
					return cli.Misusef("--condition %s is not JSON", t.Condition)
				}
			}
			f, err := p.function(function)
			if err != nil {
				return err
			}
			if other, _, err := p.find(t.Name); err == nil {
				return cli.Misusef("notification %q exists already, in function %q: choose another name", t.Name, other.Name)
			}
			err = t.Compile()
			if err == nil {
				err = f.CheckNotification(t)
			}
			if err == nil {
				err = manifest.CheckNotificationTypes(t, p.types.Set)
			}
			if err != nil {
				return cli.Misuse{Err: err}
			}
			f.Notifications = append(f.Notifications, t)
			if err := p.save(f); err != nil {
				return err
			}
			if err := p.printed(cmd, common, f, t, "created"); err != nil {
				return err
			}
			return p.tellEmbedding(cmd.ErrOrStderr(), f)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&function, "function", "", "`name` of the function that gets the notifications")
	flags.StringVar(&t.Event, "event", "", "event `type`, source/NAME or NAME")
	flags.StringVar(&condition, "condition", "", "event `pattern` over the detail: its JSON, or @FILE; without one, every event of the type")
	flags.StringVar(&kind, "kind", string(notification.Text), "`kind` of the body: text, json or xml")
	flags.StringVar(&body, "body", "", "`text` with placeholders, @FILE, or - for standard input")
	flags.BoolVar(&inactive, "inactive", false, "make no notifications until it is activated")
	_ = cmd.RegisterFlagCompletionFunc("function", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return completeFunctions(nil, nil, "")
	})
	_ = cmd.RegisterFlagCompletionFunc("event", func(_ *cobra.Command, _ []string, toComplete string) ([]string, cobra.ShellCompDirective) {
		return completeTypes(nil, nil, toComplete)
	})
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions([]string{"text", "json", "xml"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// input is a flag's value: itself, the content of @FILE, or with - what is read.
func input(in io.Reader, flag, value string) (string, error) {
	name, isFile := strings.CutPrefix(value, "@")
	switch {
	case value == "-" && in != nil:
		data, err := io.ReadAll(in)
		return string(data), err
	case isFile:
		data, err := os.ReadFile(name)
		if err != nil {
			return "", cli.Misusef("%s: %w", flag, err)
		}
		return string(data), nil
	}
	return value, nil
}

// function finds a function of the project's own.
func (p *templates) function(name string) (*manifest.Function, error) {
	var known []string
	for i, f := range p.functions {
		if f.Name == name {
			return &p.functions[i], nil
		}
		known = append(known, f.Name)
	}
	return nil, cli.Unknown("function", name, known)
}

// tellEmbedding says what to add to a program that does not have its templates
// yet.
func (p *templates) tellEmbedding(out io.Writer, f *manifest.Function) error {
	files, err := filepath.Glob(filepath.Join(p.root, filepath.FromSlash(f.Dir), "*.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if bytes.Contains(data, []byte("go:embed "+notification.FileName)) {
			return nil
		}
	}
	_, err = fmt.Fprintf(out, `No Go file of %s embeds it yet. In main.go:

	//go:embed %s
	var templates []byte

	handler.Start(handler.Notifications(notify, handler.Templates(templates)))
`, f.Dir, notification.FileName)
	return err
}

func newNotificationsList(common *cli.Flags) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the notification templates",
		Long: `List the notification templates of the project: the function that gets what each
makes, its event type and condition, and whether it is active.`,
		Example: `  penstock notifications list
  penstock notifications list --output json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := loadTemplates()
			if err != nil {
				return err
			}
			all := []shownTemplate{}
			var rows [][]string
			for i := range p.functions {
				f := &p.functions[i]
				for _, t := range f.Notifications {
					all = append(all, shownTemplate{f.Name, p.file(f), t})
					condition := "-"
					if len(t.Condition) > 0 {
						condition = compact(t.Condition)
					}
					rows = append(rows, []string{t.Name, f.Name, t.Event, string(t.Kind), state(t), condition})
				}
			}
			if common.JSON() {
				return cli.JSON(cmd.OutOrStdout(), all)
			}
			return cli.Table(cmd.OutOrStdout(), []string{"NAME", "FUNCTION", "EVENT", "KIND", "STATE", "CONDITION"}, rows)
		},
	}
}

func state(t *notification.Template) string {
	if t.Active {
		return "active"
	}
	return "inactive"
}

func compact(data []byte) string {
	var out bytes.Buffer
	if err := json.Compact(&out, data); err != nil {
		return string(data)
	}
	return out.String()
}

func newNotificationsGet(common *cli.Flags) *cobra.Command {
	var sample bool
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Show a notification template, or what it makes of a sample event",
		Long: `Show a notification template: what it is made of, and its body. With --sample, what
it makes of the sample of its event type instead.`,
		Example: `  penstock notifications get 'Large withdrawal'
  penstock notifications get 'Large withdrawal' --sample`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeNotifications,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, f, t, err := loadTemplate(args[0])
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if sample {
				return p.renderSample(out, t)
			}
			if common.JSON() {
				return cli.JSON(out, shownTemplate{f.Name, p.file(f), t})
			}
			condition := "none: every event of the type"
			if len(t.Condition) > 0 {
				condition = compact(t.Condition)
			}
			_, err = fmt.Fprintf(out, "%s\n\nfunction   %s\nevent      %s\ncondition  %s\nkind       %s\nstate      %s\nfile       %s\n\n%s\n",
				t.Name, f.Name, t.Event, condition, t.Kind, state(t), p.file(f), t.Body)
			return err
		},
	}
	cmd.Flags().BoolVar(&sample, "sample", false, "print the body as it is for the type's sample event, whose metadata is empty")
	return cmd
}

func (p *templates) renderSample(out io.Writer, t *notification.Template) error {
	event, err := p.types.Find(t.Event)
	if err != nil {
		return err
	}
	data, err := p.types.Sample(event)
	if err != nil {
		return err
	}
	d, err := notification.ReadDetail(fmt.Appendf(nil, `{"metadata": {}, "data": %s}`, data))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, t.Render(d))
	return err
}

// newNotificationsSwitch is the command that activates templates, or the one that
// deactivates them.
func newNotificationsSwitch(common *cli.Flags, verb string, active bool) *cobra.Command {
	long := "Have a template make notifications again."
	if !active {
		long = "Have a template make no notifications, until it is activated."
	}
	return &cobra.Command{
		Use:               verb + " NAME",
		Short:             strings.ToUpper(verb[:1]) + verb[1:] + " a notification template",
		Long:              long,
		Example:           "  penstock notifications " + verb + " 'Large withdrawal'",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeNotifications,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, f, t, err := loadTemplate(args[0])
			if err != nil {
				return err
			}
			t.Active = active
			if err := p.save(f); err != nil {
				return err
			}
			return p.printed(cmd, common, f, t, verb+"d")
		},
	}
}

func newNotificationsDelete(common *cli.Flags) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:               "delete NAME",
		Short:             "Remove a notification template",
		Long:              "Remove a notification template from its function. It asks first; -y does not.",
		Example:           "  penstock notifications delete 'Large withdrawal'",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: completeNotifications,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, f, t, err := loadTemplate(args[0])
			if err != nil {
				return err
			}
			if err := cli.Confirm(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr(), yes, fmt.Sprintf("Delete notification %q of function %s?", t.Name, f.Name)); err != nil {
				return err
			}
			f.Notifications = slices.DeleteFunc(f.Notifications, func(other *notification.Template) bool { return other == t })
			if err := p.save(f); err != nil {
				return err
			}
			return p.printed(cmd, common, f, t, "deleted")
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}
