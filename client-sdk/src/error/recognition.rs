//! What can go wrong in recognition besides the connection.

/// Why an image could not be recognised, or tickets not be prepared. Stages are counted from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RecognitionError {
    /// A block of tickets has 1 to 2048.
    #[error("{got} tickets asked for, expected 1 to {limit}: prepare more blocks")]
    TicketCount {
        /// Tickets asked for.
        got: usize,
        /// Most tickets of a block.
        limit: usize,
    },
    /// A ticket hides one image only.
    #[error("ticket {index} is used: take another")]
    TicketUsed {
        /// Its place in the book.
        index: usize,
    },
    /// There is no such ticket.
    #[error("the book has no ticket {index}: it was made with {count}")]
    NoTicket {
        /// The place asked for.
        index: usize,
        /// Tickets the book was made with.
        count: usize,
    },
    /// There are not enough tickets.
    #[error("{needed} tickets needed, {left} left: prepare more")]
    TicketsExhausted {
        /// Tickets needed.
        needed: usize,
        /// Tickets left.
        left: usize,
    },
    /// As many tickets as images are needed.
    #[error("{tickets} tickets for {images} images, expected one each")]
    Pairs {
        /// Tickets given.
        tickets: usize,
        /// Images given.
        images: usize,
    },
    /// The ticket was made for another model or under another key.
    #[error(
        "the ticket belongs to model {got}, this recogniser to {expected} (or another life of it)"
    )]
    ForeignTicket {
        /// The ticket's model.
        got: String,
        /// The recogniser's model.
        expected: String,
    },
    /// The supply hands out no more tickets.
    #[error("the supply of tickets is closed")]
    SupplyClosed,
    /// The answer was computed with other weights than the ticket.
    #[error("the answer is of version {got}, the ticket of {expected}: prepare new tickets")]
    VersionMismatch {
        /// Version of the answer.
        got: u64,
        /// Version of the ticket.
        expected: u64,
    },
    /// There is no such model any more, or another one of the same name.
    #[error(
        "model {model} was deleted, or deleted and made again: its tickets are of no use any more; open the model \
         again, if there is one"
    )]
    ModelGone {
        /// The model.
        model: String,
    },
    /// The weights of a version, or their difference to another, do not fit recognition.
    #[error("the model cannot be used for recognition: {0}")]
    Quantisation(#[from] sphinx_quantise::QuantisationError),
    /// The image has another size.
    #[error("the image has {got} pixels, the network takes {expected}")]
    ImageSize {
        /// Pixels of the image.
        got: usize,
        /// Pixels of the network's input.
        expected: usize,
    },
    /// The noise of a stage's tickets could spoil their last bit.
    #[error(
        "the tickets of stage {stage} cannot be exact: its noise fits only {deviations:.1} times into half a step \
         modulo 2^{modulus_bits}, expected at least {needed}"
    )]
    Precision {
        /// The stage.
        stage: usize,
        /// Bits of its modulus.
        modulus_bits: u32,
        /// Standard deviations of the noise that fit.
        deviations: f64,
        /// Standard deviations that must fit.
        needed: f64,
    },
}
