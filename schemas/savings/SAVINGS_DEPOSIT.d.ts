// Code generated from the event types by go generate; DO NOT EDIT.

/** Deposit: money came into a deposit account. */
export interface Deposit {
  /** AccountID names the account that was credited. */
  accountId: string;
  /** TransactionID names the deposit in the ledger of the savings module. */
  transactionId: string;
  /** Amount is what was credited, always positive. */
  amount: Amount;
  /** Channel says where it was made. */
  channel: Channel;
  /**
   * ValueDate is the day from which it bears interest.
   * @format date
   */
  valueDate: string;
  /** From is who sent it, for a transfer. */
  from?: Counterparty;
  /** Reference is the sender's own text. */
  reference?: string;
  /** Labels are whatever the bank's modules noted for one another. */
  labels?: Record<string, string>;
}

/**
 * Amount is an amount of money. It may be negative. The zero value is nothing of no currency,
 * which is not valid in an event.
 */
export interface Amount {
  /**
   * MinorUnits counts the currency's smallest unit: cents of EUR, whole JPY. A filter compares
   * numbers from -5.0e9 to +5.0e9 only ("Comparison operators for use in event patterns in Amazon
   * EventBridge").
   * @asType integer
   */
  minorUnits: number;
  /**
   * Currency is an ISO 4217 code.
   * @pattern ^[A-Z]{3}$
   */
  currency: string;
}

/** Channel is where money came in or went out. */
export type Channel =
  /** ChannelATM is a cash machine. */
  | "ATM"
  /** ChannelBranch is the counter of a branch. */
  | "BRANCH"
  /** ChannelTransfer is a transfer from or to another account. */
  | "TRANSFER";

/** Counterparty is the other side of a transfer. */
export interface Counterparty {
  /** Name is the holder's, as the other bank gives it. */
  name: string;
  /**
   * IBAN is the account's, without blanks (ISO 13616).
   * @pattern ^[A-Z]{2}[0-9]{2}[A-Z0-9]+$
   */
  iban: string;
}

/** savings/SAVINGS_DEPOSIT on the bus: what EventBridge calls its detail. */
export interface DepositDetail {
  metadata: Metadata;
  data: Deposit;
}

/** The part of the event as EventBridge delivers it that tells what it is. */
export interface DepositEvent {
  source: "savings";
  "detail-type": "SAVINGS_DEPOSIT";
  detail: DepositDetail;
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
