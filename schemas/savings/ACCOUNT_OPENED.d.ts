// Code generated from the event types by go generate; DO NOT EDIT.

/** AccountOpened: a deposit account was opened. */
export interface AccountOpened {
  /** AccountID names the account for ever. */
  accountId: string;
  /** Product is what kind of account it is. */
  product: Product;
  /**
   * Currency is the account's, an ISO 4217 code.
   * @pattern ^[A-Z]{3}$
   */
  currency: string;
  /**
   * OpenedAt is when it was opened.
   * @format date-time
   */
  openedAt: string;
  /** Holders are the people whom it belongs to, at least one. */
  holders: Holder[] | null;
  /** InterestPercent is the yearly rate that was agreed; null if the account follows the product's. */
  interestPercent: number | null;
  /** OverdraftLimit is how far below nothing it may go; null if it may not. */
  overdraftLimit: Amount | null;
  /**
   * Term is how long the money is bound, an ISO 8601 duration such as P12M. Only a fixed deposit
   * has one.
   * @format duration
   */
  term?: string;
  /** Documents are the ids of the papers that were signed. */
  documents?: string[];
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

/** Holder is a person whom an account belongs to. */
export interface Holder {
  /** CustomerID names the person. */
  customerId: string;
  /** Role says what the person may do. */
  role: Role;
  /**
   * BornOn is a minor's day of birth.
   * @format date
   */
  bornOn?: string;
}

/** Product is a kind of account. */
export type Product =
  /** ProductInstantAccess is an account whose money is free at any time. */
  | "INSTANT_ACCESS"
  /** ProductNotice is an account whose withdrawals need notice. */
  | "NOTICE"
  /** ProductFixed is a fixed deposit, whose money is bound for a term. */
  | "FIXED";

/** Role is what a holder may do with an account. */
export type Role =
  /** RoleOwner is a holder who may do anything. */
  | "OWNER"
  /** RoleJoint is a holder who may act only together with another. */
  | "JOINT"
  /** RoleMinor is a child, for whom the others act. */
  | "MINOR";

/** savings/ACCOUNT_OPENED on the bus: what EventBridge calls its detail. */
export interface AccountOpenedDetail {
  metadata: Metadata;
  data: AccountOpened;
}

/** The part of the event as EventBridge delivers it that tells what it is. */
export interface AccountOpenedEvent {
  source: "savings";
  "detail-type": "ACCOUNT_OPENED";
  detail: AccountOpenedDetail;
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
