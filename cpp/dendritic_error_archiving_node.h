/*
 *  dendritic_error_archiving_node.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_DENDRITIC_ERROR_ARCHIVING_NODE_H
#define PYRAMIDAL_DENDRITIC_ERROR_ARCHIVING_NODE_H

#include <algorithm>
#include <array>
#include <cassert>
#include <functional>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "event.h"
#include "node.h"

#include "emergency_stop.h"
#include "error_archive.h"
#include "error_history.h"
#include "recent_errors.h"
#include "recent_innovations.h"
#include "signal_buffer.h"
#include "trial_clock.h"

namespace nest
{

inline constexpr size_t cache_line = 64;  //!< bytes

/**
 * Base class of the neurons written in NESTML. It does for them what NESTML cannot:
 *
 * - keeps the course of trials (trial_clock.h) and tells the neuron when to return to rest,
 * - archives the dendritic errors for the plastic synapses (error_archive.h), gated by the learning windows,
 * - receives spikes, sums them for each step, and sends those of the cell,
 * - sends the prospective potential V_prospective to partner cells (rate_connection_delayed) and the rate, without noise, to
 *   dendrites (sic_connection), and receives both, for any min_delay,
 * - averages the potentials over the read-out window of every trial,
 * - takes part in a run while it is frozen: it sleeps (below).
 *
 * NEST does not update frozen nodes, so that nobody would keep their time. So a frozen cell is not frozen for NEST during a run, but
 * asleep: its potentials stand still, it sends nothing, what arrives is lost, and its errors are 0. The course of trials goes on.
 *
 * The wrapper templates in nestml_models/codegen connect it with the variables of the model.
 */
class alignas( cache_line ) DendriticErrorArchivingNode : public Node
{
public:
  //! A spiking port of the model. Its number counts from 0 in the order of declaration, its receptor type, which users give, from 1.
  struct Port
  {
    std::string name;
    bool has_error;  //!< whether the model has an error of this compartment
  };

  //! Inputs of the model. One more receptor type than there are spiking ports, `nudge`, takes potentials.
  struct Inputs
  {
    std::vector< Port > ports;            //!< for spikes and rates; each one is a compartment
    std::vector< std::string > currents;  //!< for currents; receptor types count from 0
  };

  explicit DendriticErrorArchivingNode( size_t n_ports );
  DendriticErrorArchivingNode( const DendriticErrorArchivingNode& );

  using Node::handle;
  using Node::handles_test_event;
  using Node::sends_secondary_event;

  void handle( SpikeEvent& e ) override;
  void handle( DelayedRateConnectionEvent& ) override;
  void handle( SICEvent& ) override;
  size_t handles_test_event( DelayedRateConnectionEvent&, size_t receptor_type ) override;
  size_t handles_test_event( SICEvent&, size_t receptor_type ) override;

  void
  sends_secondary_event( DelayedRateConnectionEvent& ) override
  {
  }

  void
  sends_secondary_event( SICEvent& ) override
  {
  }

  void get_status( Dictionary& ) const override;
  void set_status( const Dictionary& ) override;

  //! Called at the end of a run.
  void finalize() override;

  /**
   * Have errors archived for a plastic synapse onto the compartment at this port.
   *
   * Throws IllegalConnection if the compartment has no error, or if synapses with other time constants (ms) read it.
   */
  void register_plastic_synapse( size_t port,
    const std::vector< double >& tau_s,
    double tau_Delta,
    const std::string& synapse );

  //! A plastic synapse onto the compartment at this port is gone.
  void unregister_plastic_synapse( size_t port );

  //! Have every error of the compartment at this port kept for a synapse that steps over them.
  void register_stepping_synapse( size_t port, const std::string& synapse );

  //! Have the latest errors of the compartment at this port kept for a plastic synapse that transmits a rate.
  void register_rate_synapse( size_t port, const std::string& synapse );

  /**
   * Have the innovation filtered for an alignment synapse onto the compartment at this port.
   *
   * Throws IllegalConnection if the cell has no innovation, if the compartment has no error, as dendrites do, or if synapses with another
   * time constant (ms) read it.
   */
  void
  register_alignment_synapse( size_t port, double tau_innovation, double tau_baseline, const std::string& synapse );

  //! An alignment synapse is gone.
  void
  unregister_alignment_synapse()
  {
    innovations_.remove_reader();
  }

  ErrorArchive&
  archive( const size_t port )
  {
    return compartment_( port ).archive;
  }

  ErrorHistory&
  history( const size_t port )
  {
    return compartment_( port ).history;
  }

  const RecentErrors&
  recent_errors( const size_t port ) const
  {
    return compartment_( port ).recent;
  }

  const RecentInnovations&
  recent_innovations() const
  {
    return innovations_;
  }

  //! Time of a stamp in steps; much faster than NEST's integer division, and as exact: a step has few tics.
  long
  steps( const Time& stamp ) const
  {
    return static_cast< long >( static_cast< double >( stamp.get_tics() ) * steps_per_tic_ + 0.5 );
  }

  //! How many spikes an event stands for. A population sends their number in the place of NEST's offset, with a negative sign.
  static double
  spike_count( const SpikeEvent& e )
  {
    return e.get_offset() < 0.0 ? -e.get_offset() : static_cast< long >( e.get_multiplicity() );
  }

  //! Whether there is no reset between the present time and time n (steps) at which an event was emitted.
  bool
  is_on_this_side_of_reset( const long n ) const
  {
    return last_reset_ < n and n <= next_reset_;
  }

  //! Onset of the trial to which what was sent at time n (steps) belongs, if the cell learns in it; else -1 (steps).
  long
  learning_trial( const long n ) const
  {
    return ( n > clock_set_at_ ? clock_ : earlier_clock_ ).learning_trial( n - 1 );
  }

  //! Add spikes with this sum of weights to what the compartment at the port gets in the step that begins at time now.
  void
  add_input( const size_t port, const long now, const double weight )
  {
    Compartment& c = compartment_( port );
    c.inputs[ now & c.mask ] += weight;
  }

  /**
   * Receive the rate that a neuron had in the step that ended at time n (steps), times weight and resolution.
   *
   * It is lost if the cell was reset since.
   */
  void
  receive_rate( const size_t port, const long n, const long delay, const double weighted_rate )
  {
    if ( n > std::max( last_reset_, lost_until_ ) )
    {
      compartment_( port ).rates.add( n - 1 + delay, weighted_rate );
    }
  }

  //! Have the processor fetch the compartment at the port. Only the address is used: the cell need not exist.
  void
  prefetch( const size_t port ) const
  {
    const char* const c = reinterpret_cast< const char* >( &compartment_( port ) );
    __builtin_prefetch( c );
    __builtin_prefetch( c + cache_line );
  }

protected:
  //! What the model has declared.
  virtual const Inputs& inputs() const = 0;

  //! Whether the model knows what it sends beyond its expected rate.
  virtual bool
  has_innovation() const
  {
    return false;
  }

  //! Refuse a connection to a receptor that does not take such a signal; names those that there are.
  [[noreturn]] void refuse_receptor( size_t receptor_type, const std::string& signal ) const;

  // ---- called by the wrapper templates, in this order -------------------------------------------------------------

  //! Called by pre_run_hook().
  void prepare_run();

  //! Called by init_buffers_().
  void clear_inputs();

  /**
   * Handle an event from the other side of a reset after the next reset. It comes from a device that is updated before this neuron; an event that was emitted
   * before the last reset is lost.
   */
  template < typename EventT >
  [[gnu::cold, gnu::noinline]] void
  handle_after_reset( const EventT& e )
  {
    if ( steps( e.get_stamp() ) > next_reset_ )
    {
      waiting_.push_back( [ this, event = e ]() mutable { handle( event ); } );
    }
  }

  //! Called when the neuron has returned to rest.
  void deliver_waiting_events();

  //! Whether the cell was frozen when the run began.
  bool
  is_asleep() const
  {
    return is_asleep_;
  }

  /**
   * Begin the step that begins at time now (steps); true if the neuron has to return to rest.
   *
   * Throws if the run has to stop.
   */
  bool
  begin_step( const long now )
  {
    EmergencyStop::get().check( now );
    now_ = now;
    const bool from_rest = clock_.begin_step( now );
    if ( clock_.phase( now ) == 0 )
    {
      note_values_of_trial_();
    }
    return from_rest and begin_trial_from_rest_();
  }

  //! Potential towards which the soma is nudged in this step (mV), or NaN.
  double
  nudging_potential()
  {
    return nudge_.take( now_ );
  }

  //! Sum of the weights of all spikes that arrive in this step at the port, and of rates times weight and resolution.
  double
  take_input( const size_t port )
  {
    Compartment& c = compartment_( port );
    const double spikes = std::exchange( c.inputs[ now_ & c.mask ], 0.0 );
    const double rates = c.rates.take( now_ );
    return std::isnan( rates ) ? spikes : spikes + rates;
  }

  //! Value of the stimulus in this step, or NaN.
  double
  stimulus() const
  {
    return clock_.stimulates( now_ ) ? of_trial_( stimulus_values_, SignalBuffer::none ) : SignalBuffer::none;
  }

  //! What the output of the cell is multiplied by in the present trial.
  double
  output_gain() const
  {
    return output_gain_;
  }

  /**
   * Known noise of the rate in the present trial (sqrt(1/ms)).
   *
   * Its sign changes in the middle of the window of learning, so that it has no mean in which it could meet that of other rates.
   */
  double
  output_noise() const
  {
    return output_noise_ != 0.0 and clock_.is_in_second_half( now_ ) ? -output_noise_ : output_noise_;
  }

  //! What the nudging conductance is multiplied by in this step.
  double
  nudge_ramp() const
  {
    return clock_.nudge_ramp( now_ );
  }

  /**
   * Keep the error of the compartment at this port, at the end of the step; 0 outside of its learning windows and asleep.
   *
   * All dendrites but the one whose port is called apical have the learning windows of the basal one.
   */
  [[gnu::always_inline]] void
  archive_error( const size_t port, const bool is_apical, const double error )
  {
    Compartment& c = compartment_( port );
    const bool learns = is_apical ? clock_.apical_learns( now_ ) : clock_.basal_learns( now_ );
    const double gated = learns and not is_asleep_ ? error : 0.0;
    if ( c.archive.ready() )
    {
      c.archive.archive( gated );
    }
    if ( c.history.wanted() )
    {
      c.history.archive( now_ + 1, gated );
    }
    if ( c.recent.wanted() )
    {
      c.recent.archive( now_ + 1, gated, last_reset_ );
    }
  }

  //! Whether somebody reads the innovation.
  bool
  wants_innovation() const
  {
    return wants_innovation_;
  }

  //! Filter and keep what was sent in this step beyond the expected rate, and that rate (1/ms); asleep, nothing is sent or expected.
  void
  archive_innovation( const double innovation, const double rate )
  {
    const bool learns = clock_.basal_learns( now_ ) and not is_asleep_;
    innovations_.archive( now_ + 1, is_asleep_ ? 0.0 : innovation, rate, learns, last_reset_ );
  }

  //! Average the potentials (mV) over the read-out window.
  void
  read_out( const double V_soma, const double V_basal, const double V_apical )
  {
    if ( clock_.reads_out( now_ ) )
    {
      add_to_readout_( { V_soma, V_basal, V_apical } );
    }
  }

  //! Stop the run if the potential (mV) is absurd.
  void
  check_potential( const double V ) const
  {
    if ( not( std::abs( V ) <= max_potential_ ) )
    {
      report_divergence_( V );
    }
  }

  //! Send the spikes of this step; lag as in update().
  void
  send_spikes( const long n, const long lag )
  {
    if ( n > 0 and not is_asleep_ )
    {
      send_spikes_( n, lag );
    }
  }

  //! Send the signals of this step, or that there are none; lag and to as in update().
  void send_signals( long lag, long to, double V_prospective, double rate );

  bool is_recorded_ = false;  //!< whether a population has a device, such as a spike_recorder, to send its spikes to

private:
  //! No membrane reaches 1 V; a potential beyond it means that the network diverges (mV).
  static constexpr double max_potential_ = 1000.0;

  //! Most spikes of a step. Those of a neuron take 16 bytes each on their way; those of a population are one event, whose number the model
  //! draws as an int: it may be twice that.
  static constexpr long max_spikes_of_neuron_ = 1'000'000;
  static constexpr long max_spikes_of_population_ = 1'000'000'000;

  //! What a spike needs lies in the first two cache lines.
  struct alignas( cache_line ) Compartment
  {
    std::vector< double > inputs = { 0.0 };  //!< spikes on their way times weight, by time (mV ms or pA ms)
    size_t mask = 0;                         //!< steps that they hold, a power of 2, less 1
    ErrorArchive archive;                    //!< for synapses that integrate in O(1)
    ErrorHistory history;                    //!< for synapses that step over every error
    RecentErrors recent;                     //!< for synapses that transmit rates
    SignalBuffer rates;                      //!< rates on their way times weight and resolution (mV ms or pA ms)
    std::vector< double > tau_s;             //!< of the traces of the plastic synapses (ms)
    double tau_Delta = 0.0;                  //!< of their filter (ms)
    size_t n_plastic = 0;                    //!< plastic synapses connected
  };

  //! One kind of continuous signal that the neuron sends.
  template < typename EventT >
  struct Outlet
  {
    std::vector< double > values;     //!< one for each lag of a slice
    std::set< synindex > heard_over;  //!< models of the connections to those that listen
    bool known = false;               //!< whether that is up to date
  };

  using Potentials = std::array< double, 3 >;  //!< of soma, basal and apical dendrite (mV)

  //! Behind the node lie its compartments (NodeWithCompartments), at a fixed distance, so that a synapse can have them fetched.
  Compartment&
  compartment_( const size_t port )
  {
    return reinterpret_cast< Compartment* >( this + 1 )[ port ];
  }

  const Compartment&
  compartment_( const size_t port ) const
  {
    return reinterpret_cast< const Compartment* >( this + 1 )[ port ];
  }

  std::span< Compartment >
  compartments_()
  {
    return { &compartment_( 0 ), n_ports_ };
  }

  std::span< const Compartment >
  compartments_() const
  {
    return { &compartment_( 0 ), n_ports_ };
  }

  //! Value of the present trial, or what holds if there is none.
  double
  of_trial_( const std::vector< double >& values, const double otherwise ) const
  {
    const size_t trial = static_cast< size_t >( clock_.trial() );
    return trial < values.size() ? values[ trial ] : otherwise;
  }

  //! Keep at hand what every step of the present trial needs.
  void
  note_values_of_trial_()
  {
    output_gain_ = of_trial_( output_gain_values_, 1.0 );
    output_noise_ = of_trial_( noise_values_, 0.0 );
  }

  template < typename EventT >
  void receive_( EventT& e, SignalBuffer& buffer, double factor );

  void send_spikes_( long n, long lag );

  template < typename EventT >
  void send_( Outlet< EventT >& outlet, long lag, long to, double value );

  //! Throws IllegalConnection if the compartment at this port has no error.
  void require_error_( size_t port, const std::string& synapse ) const;

  bool begin_trial_from_rest_();
  void notice_lost_signals_( long now );
  void notice_time_set_back_( long now );
  void set_clock_( long now );
  void forget_readout_();
  void add_to_readout_( const Potentials& );
  void report_divergence_( double V ) const;
  [[gnu::cold]] void report_exhaustion_() const;

  double steps_per_tic_ = 0.0;                            //!< inverse of NEST's tics per step
  long last_reset_ = 0;                                   //!< time of the last reset (steps)
  long next_reset_ = std::numeric_limits< long >::max();  //!< time of the next one (steps)
  size_t n_ports_;                                        //!< number of compartments
  TrialClock clock_;
  std::vector< double > stimulus_values_;               //!< one for each trial; NaN: none
  SignalBuffer nudge_;                                  //!< potentials of partner cells and teachers (mV)
  Outlet< DelayedRateConnectionEvent > potential_out_;  //!< V_prospective (mV)
  Outlet< SICEvent > rate_out_;                         //!< rate (1/ms)
  Potentials readout_sums_{};                           //!< over the present read-out window (mV)
  long readout_steps_ = 0;                              //!< steps in it so far
  std::array< std::vector< double >, 3 > readout_;      //!< means of the trials (mV)
  long now_ = -1;                                       //!< time at which the present or last step begins (steps)
  bool is_asleep_ = false;  //!< whether the cell was frozen when the run began; beside now_, as every step needs both
  bool wants_innovation_ = false;                   //!< whether somebody reads the innovation
  double output_gain_ = 1.0;                        //!< of the present trial
  double output_noise_ = 0.0;                       //!< of the present trial (sqrt(1/ms))
  std::vector< std::function< void() > > waiting_;  //!< deliver the events that wait for it
  long lost_until_ = 0;                             //!< time up to which NEST has lost all signals (steps)
  std::vector< double > output_gain_values_;        //!< one for each trial
  std::vector< double > noise_values_;              //!< one for each trial (sqrt(1/ms))
  RecentInnovations innovations_;                   //!< for alignment synapses
  TrialClock earlier_clock_;  //!< of the time before the clock was set, from which events may still come
  long clock_set_at_ = 0;     //!< that time (steps)

  template < size_t n_ports >
  friend class NodeWithCompartments;
};

/**
 * The base class with the compartments of a model, of which there are as many as it has spiking ports. They follow the members of the
 * base class, wherever the model is used.
 */
template < size_t n_ports >
class NodeWithCompartments : public DendriticErrorArchivingNode
{
public:
  NodeWithCompartments()
    : DendriticErrorArchivingNode( n_ports )
  {
    assert( n_ports == 0 or &compartment_( 0 ) == own_compartments_.data() );
  }

  //! The compartments of a copy are new.
  NodeWithCompartments( const NodeWithCompartments& other )
    : DendriticErrorArchivingNode( other )
  {
  }

private:
  std::array< Compartment, n_ports > own_compartments_;
};

}  // namespace nest

#endif
