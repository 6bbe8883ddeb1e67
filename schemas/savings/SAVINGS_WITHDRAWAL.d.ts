// Code generated from the event types by go generate; DO NOT EDIT.

/** Withdrawal: money left a deposit account. */
export interface Withdrawal {
  /** AccountID names the account that was debited. */
  accountId: string;
  /** TransactionID names the withdrawal in the ledger of the savings module. */
  transactionId: string;
  /** Amount is in units of Currency, always positive. */
  amount: number;
  /** Currency is an ISO 4217 code. */
  currency: string;
  /** Channel says where it was made. */
  channel: Channel;
}

/** Channel is where money came in or went out. */
export type Channel =
  /** ChannelATM is a cash machine. */
  | "ATM"
  /** ChannelBranch is the counter of a branch. */
  | "BRANCH"
  /** ChannelTransfer is a transfer from or to another account. */
  | "TRANSFER";

/** savings/SAVINGS_WITHDRAWAL on the bus: what EventBridge calls its detail. */
export interface WithdrawalDetail {
  metadata: Metadata;
  data: Withdrawal;
}

/** The part of the event as EventBridge delivers it that tells what it is. */
export interface WithdrawalEvent {
  source: "savings";
  "detail-type": "SAVINGS_WITHDRAWAL";
  detail: WithdrawalDetail;
}

/**
 * Metadata is what Penstock knows of an event besides its data. Empty fields other than ID,
 * CorrelationID and OccurredAt are left out on the wire.
 */
export interface Metadata {
  /** ID names this event for ever: a redelivery has the same. A UUIDv7. */
  id: string;
  /**
   * CorrelationID is shared by everything that one cause at the edge set off. It is the event's
   * own id where the context carries none.
   */
  correlationId: string;
  /** CausationID is the id of the event that was being handled when this one was made. */
  causationId?: string;
  /**
   * Depth is how many events caused one another before this one: 0 for an event that no other
   * caused. The handler runtime refuses what goes on for too long.
   * @asType integer
   */
  depth?: number;
  /** UserID and OrganisationID say on whose behalf it happened. */
  userId?: string;
  organisationId?: string;
  /**
   * OccurredAt is when the event was stamped, in UTC. There is no order of delivery: compare this.
   * @format date-time
   */
  occurredAt: string;
  /** Traceparent carries a W3C trace on ("Trace Context"). */
  traceparent?: string;
  /**
   * Code is the number of an event type that has one, see Coded.
   * @asType integer
   */
  code?: number;
}
