/*
 *  dendritic_error_archiving_node.cpp
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#include "dendritic_error_archiving_node.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "compose.hpp"
#include "connection_manager.h"
#include "event_delivery_manager_impl.h"
#include "exceptions.h"
#include "kernel_manager.h"
#include "secondary_event_impl.h"
#include "target_buffers.h"

namespace nest
{

namespace
{

//! NEST's UnknownReceptorType, which PyNEST knows by its name, with another text.
class UnknownReceptor : public KernelException
{
public:
  using KernelException::KernelException;

  std::string
  exception_name() const override
  {
    return "UnknownReceptorType";
  }
};

//! Present time (steps).
long
present_time()
{
  const SimulationManager& simulation = kernel().simulation_manager;
  return simulation.get_slice_origin().get_steps() + simulation.get_from_step();
}

const std::array< std::string, 3 > readout_names = { "readout_V_soma", "readout_V_basal", "readout_V_apical" };

//! Steps that an event may be ahead of, or behind, the neuron.
size_t
event_reach()
{
  return kernel().connection_manager.get_min_delay() + kernel().connection_manager.get_max_delay() + 1;
}

//! Time constants (ms) of plastic synapses, for messages.
std::string
describe( const std::vector< double >& tau_s, const double tau_Delta )
{
  return tau_s.size() == 1
    ? String::compose( "tau_s = %1 and tau_Delta = %2 ms", tau_s[ 0 ], tau_Delta )
    : String::compose( "tau_m = %1, tau_s = %2 and tau_Delta = %3 ms", tau_s[ 0 ], tau_s[ 1 ], tau_Delta );
}

//! "a, b or c".
std::string
alternatives( const std::vector< std::string >& names )
{
  std::string text;
  for ( size_t i = 0; i < names.size(); ++i )
  {
    text += ( i == 0 ? "" : i + 1 < names.size() ? ", " : " or " ) + names[ i ];
  }
  return text;
}

//! All spikes of a population in one step.
class PopulationSpikes : public SpikeEvent
{
public:
  long n_spikes = 0;
  bool is_recorded = false;
};

//! The question whether the signals of the last slice are still in NEST's buffer.
class LastSlice : public SpikeEvent
{
public:
  bool is_there = false;
};

}  // namespace

/**
 * NEST sends m spikes as m events. A population sends one, and their number in its offset, which NEST carries to the targets; recorders
 * are local and get the spikes as they are. As a member of NEST's class this counts the spikes where NEST does (local_spike_counter).
 */
template <>
void
EventDeliveryManager::send< PopulationSpikes >( Node& source, PopulationSpikes& e, const long lag )
{
  const size_t tid = source.get_thread();
  local_spike_counter_[ tid ] += e.n_spikes;
  send_off_grid_remote( tid, e, lag );
  if ( e.is_recorded )
  {
    e.set_offset( 0.0 );
    e.set_multiplicity( e.n_spikes );
    kernel().connection_manager.send_to_devices( tid, source.get_node_id(), e );
  }
}

//! As a member of NEST's class this sees its buffer, in which every slice ends with a marker for each process.
template <>
void
EventDeliveryManager::send< LastSlice >( Node&, LastSlice& slice, const long )
{
  if ( not recv_buffer_secondary_events_.empty() )
  {
    const MPIManager& mpi = kernel().mpi_manager;
    const size_t marker = mpi.get_done_marker_position_in_secondary_events_recv_buffer( mpi.get_rank() );
    slice.is_there = marker < recv_buffer_secondary_events_.size() and recv_buffer_secondary_events_[ marker ] != 0;
  }
}

DendriticErrorArchivingNode::DendriticErrorArchivingNode( const size_t n_ports )
  : n_ports_( n_ports )
{
}

DendriticErrorArchivingNode::DendriticErrorArchivingNode( const DendriticErrorArchivingNode& other )
  : Node( other )
  , n_ports_( other.n_ports_ )
  , clock_( other.clock_ )
  , stimulus_values_( other.stimulus_values_ )
  , output_gain_values_( other.output_gain_values_ )
  , noise_values_( other.noise_values_ )
{
}

void
DendriticErrorArchivingNode::get_status( Dictionary& d ) const
{
  clock_.get_status( d );
  d[ "stimulus_values" ] = stimulus_values_;
  d[ "output_gain_values" ] = output_gain_values_;
  d[ "noise_values" ] = noise_values_;
  for ( size_t i = 0; i < readout_.size(); ++i )
  {
    d[ readout_names[ i ] ] = readout_[ i ];
  }
  size_t bytes = 0;
  for ( const Compartment& c : compartments_() )
  {
    bytes += c.archive.bytes();
  }
  d[ "archive_bytes" ] = static_cast< long >( bytes );
  d[ names::frozen ] = is_asleep_ or is_frozen();
}

void
DendriticErrorArchivingNode::set_status( const Dictionary& d )
{
  std::vector< double > stimulus_values = stimulus_values_;
  d.update_value( "stimulus_values", stimulus_values );
  if ( std::any_of( stimulus_values.begin(), stimulus_values.end(), []( const double s ) { return std::isinf( s ); } ) )
  {
    throw BadProperty( String::compose(
      "%1: stimulus_values must be finite numbers, or NaN for a trial without a stimulus", get_name() ) );
  }
  std::vector< double > output_gain_values = output_gain_values_;
  d.update_value( "output_gain_values", output_gain_values );
  if ( not std::all_of( output_gain_values.begin(),
         output_gain_values.end(),
         []( const double gain ) { return 0.0 <= gain and gain <= std::numeric_limits< double >::max(); } ) )
  {
    throw BadProperty(
      String::compose( "%1: output_gain_values must be finite numbers and not negative", get_name() ) );
  }
  std::vector< double > noise_values = noise_values_;
  d.update_value( "noise_values", noise_values );
  if ( not std::all_of(
         noise_values.begin(), noise_values.end(), []( const double x ) { return std::isfinite( x ); } ) )
  {
    throw BadProperty( String::compose( "%1: noise_values must be finite numbers", get_name() ) );
  }
  if ( d.known( names::frozen ) and kernel().simulation_manager.has_been_prepared() )
  {
    throw BadProperty( String::compose( "%1: frozen can be set only before Prepare and after Cleanup", get_name() ) );
  }
  const TrialClock earlier_clock = clock_;
  const bool readout_begins_anew = clock_.set_status( d, get_name() ) or d.known( "trial_start" );
  set_clock_( present_time() );
  if ( present_time() > clock_set_at_ )
  {
    earlier_clock_ = earlier_clock;
    clock_set_at_ = present_time();
  }
  stimulus_values_ = std::move( stimulus_values );
  output_gain_values_ = std::move( output_gain_values );
  noise_values_ = std::move( noise_values );
  note_values_of_trial_();
  if ( d.known( names::frozen ) )
  {
    is_asleep_ = false;  // NEST keeps the new value
  }
  if ( readout_begins_anew )
  {
    forget_readout_();
  }
  if ( d.known( "trial_start" ) )
  {
    for ( auto& means : readout_ )
    {
      means.clear();
    }
  }
}

void
DendriticErrorArchivingNode::finalize()
{
  set_frozen_( is_asleep_ );
  is_asleep_ = false;
}

void
DendriticErrorArchivingNode::register_plastic_synapse( const size_t port,
  const std::vector< double >& tau_s,
  const double tau_Delta,
  const std::string& synapse )
{
  require_error_( port, synapse );
  Compartment& c = compartment_( port );
  const bool are_others = c.tau_s != tau_s or c.tau_Delta != tau_Delta;
  if ( are_others and c.n_plastic > 0 )
  {
    throw IllegalConnection(
      String::compose( "%1: all plastic synapses onto one compartment must have the same time constants; "
                       "there are synapses with %2, got %3",
        synapse,
        describe( c.tau_s, c.tau_Delta ),
        describe( tau_s, tau_Delta ) ) );
  }
  if ( are_others )
  {
    c.archive = ErrorArchive();
  }
  c.tau_s = tau_s;
  c.tau_Delta = tau_Delta;
  ++c.n_plastic;
}

void
DendriticErrorArchivingNode::unregister_plastic_synapse( const size_t port )
{
  // the archive stays: a synapse that takes the place may meet a spike that is under way
  --compartment_( port ).n_plastic;
}

void
DendriticErrorArchivingNode::register_stepping_synapse( const size_t port, const std::string& synapse )
{
  require_error_( port, synapse );
  compartment_( port ).history.add_reader();
}

void
DendriticErrorArchivingNode::register_rate_synapse( const size_t port, const std::string& synapse )
{
  require_error_( port, synapse );
  compartment_( port ).recent.expect();
}

void
DendriticErrorArchivingNode::register_alignment_synapse( const size_t port,
  const double tau_innovation,
  const double tau_baseline,
  const std::string& synapse )
{
  if ( not has_innovation() )
  {
    throw IllegalConnection( String::compose(
      "%1 needs a target that knows what it sends beyond its expected rate; %2 does not", synapse, get_name() ) );
  }
  require_error_( port, synapse );
  if ( innovations_.wanted()
    and ( innovations_.tau() != tau_innovation or innovations_.tau_baseline() != tau_baseline ) )
  {
    throw IllegalConnection(
      String::compose( "%1: all alignment synapses onto one cell must have the same tau_innovation and tau_baseline; "
                       "there are synapses with %2 and %3 ms, got %4 and %5 ms",
        synapse,
        innovations_.tau(),
        innovations_.tau_baseline(),
        tau_innovation,
        tau_baseline ) );
  }
  innovations_.add_reader( tau_innovation, tau_baseline );
}

void
DendriticErrorArchivingNode::require_error_( const size_t port, const std::string& synapse ) const
{
  const std::vector< Port >& ports = inputs().ports;
  if ( port < ports.size() and ports[ port ].has_error )
  {
    return;
  }
  std::vector< std::string > learning;
  for ( const Port& each : ports )
  {
    if ( each.has_error )
    {
      learning.push_back( "'" + each.name + "'" );
    }
  }
  throw IllegalConnection(
    String::compose( "%1 needs a compartment with a dendritic error: connect it to receptor_type %2 of %3",
      synapse,
      alternatives( learning ),
      get_name() ) );
}

void
DendriticErrorArchivingNode::refuse_receptor( const size_t receptor_type, const std::string& signal ) const
{
  if ( inputs().ports.empty() )
  {
    throw UnknownReceptor( String::compose( "%1 takes no %2: it has no receptors", get_name(), signal ) );
  }
  std::vector< std::string > ports, currents;
  for ( const Port& port : inputs().ports )
  {
    ports.push_back( String::compose( "%1 = %2", port.name, ports.size() + 1 ) );
  }
  for ( const std::string& current : inputs().currents )
  {
    currents.push_back( String::compose( "%1 = %2", current, currents.size() ) );
  }
  const std::string others = currents.size() > 1
    ? String::compose( "currents to %1, recorders to 0", alternatives( currents ) )
    : "currents and recorders to 0";
  throw UnknownReceptor( String::compose(
    "receptor_type %1 of %2 takes no %3: spikes and rates go to %4, potentials (rate_connection_delayed) to nudge = "
    "%5, %6, which is the default",
    receptor_type,
    get_name(),
    signal,
    alternatives( ports ),
    ports.size() + 1,
    others ) );
}

void
DendriticErrorArchivingNode::prepare_run()
{
  const long now = present_time();
  EmergencyStop::get().begin_run();
  if ( get_thread() == 0 )
  {
    target_buffers::clear();
  }
  is_asleep_ = is_asleep_ or is_frozen();
  set_frozen_( false );
  notice_time_set_back_( now );
  set_clock_( now );
  note_values_of_trial_();
  wants_innovation_ = innovations_.wanted();
  notice_lost_signals_( now );
  steps_per_tic_ = 1.0 / static_cast< double >( Time::get_tics_per_step() );
  nudge_.make_room( event_reach() );
  innovations_.make_room( event_reach(), Time::get_resolution().get_ms() );
  for ( Compartment& c : compartments_() )
  {
    c.rates.make_room( event_reach() );
    c.recent.make_room( event_reach() );
    if ( c.inputs.size() < event_reach() )  // the range of delays grows only before the first Simulate
    {
      c.inputs.assign( std::bit_ceil( event_reach() ), 0.0 );
      c.mask = c.inputs.size() - 1;
    }
    if ( c.n_plastic > 0 and not c.archive.ready() )
    {
      std::vector< std::shared_ptr< const ArchiveTables > > tables;
      for ( const double tau_s : c.tau_s )
      {
        tables.push_back( ArchiveTables::get( Time::get_resolution().get_ms(), tau_s, c.tau_Delta, event_reach() ) );
      }
      c.archive.start( tables, c.n_plastic, now, event_reach() );
    }
  }
  potential_out_.known = rate_out_.known = false;
}

//! Go to the step that begins at time now (steps).
void
DendriticErrorArchivingNode::set_clock_( const long now )
{
  clock_.set_time( now );
  next_reset_ = clock_.next_reset();
}

/**
 * NEST's biological_time can be set to 0. The plastic synapses of a cell live on its time, which has no way back. All else begins
 * anew: what was on its way has come from a time that has not been yet.
 */
void
DendriticErrorArchivingNode::notice_time_set_back_( const long now )
{
  if ( now > now_ )
  {
    return;
  }
  for ( const Compartment& c : compartments_() )
  {
    if ( ( c.archive.ready() and c.n_plastic > 0 ) or c.history.wanted() or c.recent.wanted() )
    {
      throw KernelException( String::compose(
        "nest.biological_time was set back, but the plastic synapses onto %1 %2 count on a time that goes on: leave "
        "biological_time alone and set trial_start to the present time, or begin anew with ResetKernel",
        get_name(),
        get_node_id() ) );
    }
  }
  for ( Compartment& c : compartments_() )
  {
    c.archive = ErrorArchive();
  }
  last_reset_ = lost_until_ = now;
  waiting_.clear();
  innovations_.begin_anew();
  forget_readout_();
  clear_inputs();
}

/**
 * A new node or connection makes NEST set up its buffers anew, and the signals of the last slice become 0. That nothing comes is not
 * the same as a potential of 0 mV, so they are ignored. An interrupted slice is sent later, from the new buffers. This run will set them up
 * if NEST says that anything is new; if GetConnections has done so before, the buffer lacks the marker with which a slice ends.
 */
void
DendriticErrorArchivingNode::notice_lost_signals_( const long now )
{
  LastSlice slice;
  kernel().event_delivery_manager.send( *this, slice );
  const bool is_lost = not slice.is_there or kernel().node_manager.have_nodes_changed()
    or kernel().connection_manager.connections_have_changed();
  if ( is_lost and kernel().simulation_manager.get_from_step() == 0 )
  {
    lost_until_ = now;
  }
}

void
DendriticErrorArchivingNode::clear_inputs()
{
  nudge_.clear();
  for ( Compartment& c : compartments_() )
  {
    std::fill( c.inputs.begin(), c.inputs.end(), 0.0 );
    c.rates.clear();
  }
}

bool
DendriticErrorArchivingNode::begin_trial_from_rest_()
{
  last_reset_ = now_;
  next_reset_ = clock_.next_reset();
  clear_inputs();
  innovations_.reset();
  for ( Compartment& c : compartments_() )
  {
    if ( c.archive.is_exhausted() )
    {
      report_exhaustion_();
    }
    else if ( c.archive.ready() )
    {
      c.archive.reset();
    }
    if ( c.history.wanted() )
    {
      c.history.reset( now_ );
    }
  }
  return true;
}

void
DendriticErrorArchivingNode::deliver_waiting_events()
{
  for ( const auto& deliver : std::exchange( waiting_, {} ) )  // some may have to wait for the next reset
  {
    deliver();
  }
}

void
DendriticErrorArchivingNode::add_to_readout_( const Potentials& V )
{
  ++readout_steps_;
  for ( size_t i = 0; i < V.size(); ++i )
  {
    readout_sums_[ i ] += V[ i ];
  }
  if ( clock_.ends_readout( now_ ) )
  {
    for ( size_t i = 0; i < V.size(); ++i )
    {
      readout_[ i ].push_back( readout_sums_[ i ] / readout_steps_ );
    }
    forget_readout_();
  }
}

void
DendriticErrorArchivingNode::forget_readout_()
{
  readout_sums_ = {};
  readout_steps_ = 0;
}

void
DendriticErrorArchivingNode::report_divergence_( const double V ) const
{
  EmergencyStop::get().report( now_,
    get_node_id(),
    String::compose(
      "the network diverges: the prospective potential of %1 %2 became %3 mV in trial %4, at %5 ms; lower the "
      "learning rates or the weights of the feedback",
      get_name(),
      get_node_id(),
      V,
      clock_.trial(),
      Time( Time::step( now_ + 1 ) ).get_ms() ) );
}

void
DendriticErrorArchivingNode::report_exhaustion_() const
{
  EmergencyStop::get().report( now_,
    get_node_id(),
    String::compose(
      "%1 %2 has been reset so often that its plastic synapses cannot count on: each reset is a silence of 45 "
      "times the longest of tau_s and tau_Delta, and all must be below 1.4e14 steps; shorten the time "
      "constants, or begin anew with ResetKernel and the present weights",
      get_name(),
      get_node_id() ) );
}

void
DendriticErrorArchivingNode::handle( SpikeEvent& e )
{
  const long n = steps( e.get_stamp() );
  if ( is_on_this_side_of_reset( n ) )
  {
    add_input( e.get_rport(), n + e.get_delay_steps() - 1, e.get_weight() * spike_count( e ) );
  }
  else
  {
    handle_after_reset( e );
  }
}

template < typename EventT >
void
DendriticErrorArchivingNode::receive_( EventT& e, SignalBuffer& buffer, const double factor )
{
  // the values are those of the slice before, but those of a device come at once
  long stamp = kernel().simulation_manager.get_slice_origin().get_steps();  // of the first value, less 1
  if ( not e.sender_is_valid() or e.get_sender().has_proxies() )
  {
    stamp -= kernel().connection_manager.get_min_delay();
  }
  const long lost_until = std::max( last_reset_, lost_until_ );
  const double weight = e.get_weight() * factor;
  for ( auto it = e.begin(); it != e.end(); )
  {
    const double value = e.get_coeffvalue( it );  // advances it
    const long arrival = stamp + e.get_delay_steps();
    if ( ++stamp > next_reset_ )
    {
      waiting_.push_back( [ =, &buffer ] { buffer.add( arrival, weight * value ); } );
    }
    else if ( stamp > lost_until )
    {
      buffer.add( arrival, weight * value );
    }
  }
}

void
DendriticErrorArchivingNode::handle( DelayedRateConnectionEvent& e )
{
  receive_( e, nudge_, 1.0 );
}

void
DendriticErrorArchivingNode::handle( SICEvent& e )
{
  receive_( e, compartment_( e.get_rport() ).rates, Time::get_resolution().get_ms() );
}

size_t
DendriticErrorArchivingNode::handles_test_event( DelayedRateConnectionEvent&, const size_t receptor_type )
{
  if ( inputs().ports.empty() or receptor_type != inputs().ports.size() + 1 )
  {
    refuse_receptor( receptor_type, "potentials" );
  }
  nudge_.expect();
  return receptor_type;
}

size_t
DendriticErrorArchivingNode::handles_test_event( SICEvent&, const size_t receptor_type )
{
  if ( receptor_type < 1 or receptor_type > inputs().ports.size() )
  {
    refuse_receptor( receptor_type, "rates" );
  }
  const size_t port = receptor_type - 1;
  compartment_( port ).rates.expect();
  return port;
}

namespace
{

/**
 * A signal on its way to connections of some models only.
 *
 * NEST looks for listeners among the connections of every model that can carry such a signal, each time that one is sent; these are many,
 * as every projection of a circuit has a model of its own.
 */
template < typename EventT >
class AddressedEvent : public EventT
{
public:
  explicit AddressedEvent( const std::set< synindex >& models )
    : models_( models )
  {
  }

  const std::set< synindex >&
  get_supported_syn_ids() const override
  {
    return models_;
  }

private:
  const std::set< synindex >& models_;
};

}  // namespace

template < typename EventT >
void
DendriticErrorArchivingNode::send_( Outlet< EventT >& outlet, const long lag, const long to, const double value )
{
  if ( not outlet.known )
  {
    const size_t tid = get_thread();
    const size_t lid = kernel().vp_manager.node_id_to_lid( get_node_id() );
    outlet.heard_over = EventT().get_supported_syn_ids();
    std::erase_if( outlet.heard_over,
      [ & ]( const synindex id )
      { return kernel().connection_manager.get_secondary_send_buffer_positions( tid, lid, id ).empty(); } );
    outlet.known = true;
    // in an interrupted slice to which nobody has listened so far, nothing is sent for the steps before
    outlet.values.resize(
      outlet.heard_over.empty() ? 0 : kernel().connection_manager.get_min_delay(), SignalBuffer::none );
  }
  if ( outlet.heard_over.empty() )
  {
    return;
  }
  outlet.values[ lag ] = value;
  // an interrupted slice is sent when it is complete
  if ( lag + 1 == to and to == static_cast< long >( outlet.values.size() ) )
  {
    AddressedEvent< EventT > e( outlet.heard_over );
    e.set_coeffarray( outlet.values );
    kernel().event_delivery_manager.send_secondary( *this, e );
  }
}

void
DendriticErrorArchivingNode::send_spikes_( const long n, const long lag )
{
  EventDeliveryManager& delivery = kernel().event_delivery_manager;
  if ( n > ( is_off_grid() ? max_spikes_of_population_ : max_spikes_of_neuron_ ) )
  {
    const char* const remedy = is_off_grid() ? "lower psi" : "lower psi, or take a population";
    EmergencyStop::get().report( now_,
      get_node_id(),
      String::compose( "%1 %2 has more than %3 spikes in the step that ends at %4 ms, which cannot be sent: %5",
        get_name(),
        get_node_id(),
        is_off_grid() ? max_spikes_of_population_ : max_spikes_of_neuron_,
        Time( Time::step( now_ + 1 ) ).get_ms(),
        remedy ) );
    return;
  }
  if ( not is_off_grid() )
  {
    SpikeEvent e;
    e.set_multiplicity( n );
    delivery.send( *this, e, lag );
    return;
  }
  PopulationSpikes e;
  e.set_sender( *this );
  e.set_sender_node_id( get_node_id() );
  e.set_stamp( kernel().simulation_manager.get_slice_origin() + Time::step( lag + 1 ) );
  e.set_offset( -static_cast< double >( n ) );
  e.n_spikes = n;
  e.is_recorded = is_recorded_;
  delivery.send( *this, e, lag );
}

void
DendriticErrorArchivingNode::send_signals( const long lag,
  const long to,
  const double V_prospective,
  const double rate )
{
  if ( kernel().connection_manager.secondary_connections_exist() )
  {
    send_( potential_out_, lag, to, is_asleep_ ? SignalBuffer::none : V_prospective );
    send_( rate_out_, lag, to, is_asleep_ ? SignalBuffer::none : rate );
  }
}

}  // namespace nest
