package main

import (
	"context"

	"github.com/spf13/cobra"
	"gorm.io/gorm"

	"github.com/txn-service/txn/pkg/audit"
	"github.com/txn-service/txn/pkg/database"
	"github.com/txn-service/txn/pkg/models"
	"github.com/txn-service/txn/pkg/tenant"
	"github.com/txn-service/txn/pkg/wire"
)

var businessView = view[models.Business]{
	shape: func(b models.Business) any { return wire.NewBusiness(b) },
	columns: []column[models.Business]{
		{title: "ID", cell: func(b models.Business) string { return b.ID.String() }},
		{title: "NAME", cell: func(b models.Business) string { return b.Name }},
		{title: "STATUS", cell: func(b models.Business) string { return string(b.Status) }},
		{title: "CURRENCY", cell: func(b models.Business) string { return b.DefaultCurrency }},
		{title: "METADATA", cell: func(b models.Business) string { return pairsCell(b.Metadata) }, detail: true},
		{title: "CREATED", cell: func(b models.Business) string { return timeCell(b.CreatedAt) }},
		{title: "UPDATED", cell: func(b models.Business) string { return timeCell(b.UpdatedAt) }, detail: true},
	},
}

func newBusiness(s *session) *cobra.Command {
	return newGroup("business", "Keep the businesses (tenants)",
		"Keep the businesses: the tenants, each with accounts, keys and webhooks of its own.",
		newBusinessCreate(s), newBusinessList(s), newBusinessShow(s),
		newBusinessSuspend(s), newBusinessResume(s), newBusinessUpdate(s))
}

func newBusinessCreate(s *session) *cobra.Command {
	var fields tenant.New
	var metadata pairsFlag
	cmd := &cobra.Command{
		Use: "create --name NAME", Short: "Create a business",
		Long: "Create a business. It is active at once; issue a key for it with `txnctl key issue`.",
		Example: `  txnctl business create --name Acme
  txnctl business create --name Acme --currency EUR --metadata region=eu -o json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			fields.Metadata = metadata.pairs
			return change(cmd.Context(), s, businessView, func(tx *gorm.DB, actor audit.Actor) (models.Business, error) {
				return tenant.Create(cmd.Context(), tx, actor, fields)
			})
		},
	}
	cmd.Flags().StringVar(&fields.Name, "name", "", "`name` of the business (required)")
	cmd.Flags().StringVar(&fields.DefaultCurrency, "currency", "USD", "default currency, an ISO 4217 `code`")
	cmd.Flags().Var(&metadata, "metadata", "metadata as `key=value`, repeatable")
	requireFlags(cmd, "name")
	return cmd
}

func newBusinessList(s *session) *cobra.Command {
	var paging listFlags
	var status string
	cmd := &cobra.Command{
		Use: "list", Short: "List businesses, the newest first",
		Long: "List businesses, the newest first, a page at a time.",
		Example: `  txnctl business list
  txnctl business list --status suspended -o json`,
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter := tenant.Filter{Status: models.BusinessStatus(status), Limit: paging.limit}
			if err := paging.check(); err != nil {
				return err
			}
			switch filter.Status {
			case "", models.BusinessActive, models.BusinessSuspended:
			default:
				return usagef("--status must be active or suspended")
			}
			var err error
			if filter.After, err = cursorID[models.BusinessPrefix](paging.cursor); err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error {
				items, more, err := tenant.List(cmd.Context(), db.Gorm, filter)
				if err != nil {
					return err
				}
				return printPage(s, businessView, page[models.Business]{
					items: items, more: more, cursor: func(b models.Business) string { return b.ID.String() },
				})
			})
		},
	}
	paging.register(cmd)
	cmd.Flags().StringVar(&status, "status", "", "only businesses of this `status`: active or suspended")
	return cmd
}

func newBusinessShow(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "show BUSINESS", Short: "Show a business",
		Long:    "Show a business with its settings and metadata.",
		Example: "  txnctl business show biz_01h455vb4pex5vsknk084sn02q",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID[models.BusinessPrefix]("business", args[0])
			if err != nil {
				return err
			}
			return s.withDB(cmd.Context(), func(db *database.DB) error {
				business, err := tenant.Get(cmd.Context(), db.Gorm, id)
				if err != nil {
					return err
				}
				return printOne(s, businessView, business)
			})
		},
	}
}

func newBusinessSuspend(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "suspend BUSINESS", Short: "Stop a business from using the API",
		Long: `Stop a business from using the API. Its keys are refused on every replica within
a second, and its webhooks wait; its data stay. All of it goes on when the business
is resumed. Suspending a suspended business changes nothing.`,
		Example: "  txnctl business suspend biz_01h455vb4pex5vsknk084sn02q --yes",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID[models.BusinessPrefix]("business", args[0])
			if err != nil {
				return err
			}
			if err := s.confirm("Every request of business %s will be refused, and its webhooks will wait. Go ahead?", id); err != nil {
				return err
			}
			return change(cmd.Context(), s, businessView, func(tx *gorm.DB, actor audit.Actor) (models.Business, error) {
				return tenant.Suspend(cmd.Context(), tx, actor, id)
			})
		},
	}
}

func newBusinessResume(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "resume BUSINESS", Short: "Take a suspension back",
		Long: `Take a suspension back, within a second; webhooks that waited are sent. Resuming an
active business changes nothing.`,
		Example: "  txnctl business resume biz_01h455vb4pex5vsknk084sn02q",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID[models.BusinessPrefix]("business", args[0])
			if err != nil {
				return err
			}
			return change(cmd.Context(), s, businessView, func(tx *gorm.DB, actor audit.Actor) (models.Business, error) {
				return tenant.Resume(cmd.Context(), tx, actor, id)
			})
		},
	}
}

func newBusinessUpdate(s *session) *cobra.Command {
	var name, currency string
	var metadata pairsFlag
	cmd := &cobra.Command{
		Use: "update BUSINESS", Short: "Change the settings of a business",
		Long: "Change the settings of a business. What no flag names stays as it is; --metadata replaces all pairs.",
		Example: `  txnctl business update biz_01h455vb4pex5vsknk084sn02q --name "Acme Ltd"
  txnctl business update biz_01h455vb4pex5vsknk084sn02q --metadata ""`,
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID[models.BusinessPrefix]("business", args[0])
			if err != nil {
				return err
			}
			var update tenant.Update
			if cmd.Flags().Changed("name") {
				update.Name = &name
			}
			if cmd.Flags().Changed("currency") {
				update.DefaultCurrency = &currency
			}
			if cmd.Flags().Changed("metadata") {
				update.Metadata = &metadata.pairs
			}
			if update == (tenant.Update{}) {
				return usagef("nothing to change: pass --name, --currency or --metadata")
			}
			return change(cmd.Context(), s, businessView, func(tx *gorm.DB, actor audit.Actor) (models.Business, error) {
				return update.Apply(cmd.Context(), tx, actor, id)
			})
		},
	}
	cmd.Flags().StringVar(&name, "name", "", "new `name`")
	cmd.Flags().StringVar(&currency, "currency", "", "new default currency, an ISO 4217 `code`")
	cmd.Flags().Var(&metadata, "metadata", "new metadata as `key=value`, repeatable")
	return cmd
}

// checkBusiness tells a business without any results from one that is unknown.
func checkBusiness(ctx context.Context, db *database.DB, id models.BusinessID) error {
	_, err := tenant.Get(ctx, db.Gorm, id)
	return err
}
