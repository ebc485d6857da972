/*
 *  dendritic_error_rate_synapse.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_DENDRITIC_ERROR_RATE_SYNAPSE_H
#define PYRAMIDAL_DENDRITIC_ERROR_RATE_SYNAPSE_H

#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "dendritic_error_synapse.h"

namespace nest
{

/* BeginUserDocs: synapse, plasticity, rate

Short description
+++++++++++++++++

Synapse that transmits a rate and learns from the dendritic error of its target

Description
+++++++++++

The weight follows the low-pass filtered product of the dendritic error :math:`V^*_i` of the postsynaptic compartment and the low-pass
filtered presynaptic rate :math:`\bar r_j`,

.. math::

   \frac{dW}{dt} = \eta \, (\kappa * V^*_i \bar r_j)(t), \qquad
   \kappa(t) = \frac{1}{\tau_\Delta} e^{-t / \tau_\Delta}, \qquad
   \tau_s \frac{d \bar r_j}{dt} = -\bar r_j + r_j,

clipped to [Wmin, Wmax] in every step. It is what dendritic_error_synapse does in the limit of many spikes, step for step, if its
learning rate is divided by tau_s. All of the delay D is dendritic, as everywhere in NEST: in
the trace, the rate of step n meets errors from step n - D + 1 on.

A weight that is set is set exactly; what the filter still has to add is added afterwards. The weight that is read is that at the present time
if the delay is the smallest one, else that of up to one slice before. When the target returns to rest, the synapse does, too, as after a
long silence: what the filter still holds is added to the weight.

Parameters
++++++++++

Common to all synapses of a model (SetDefaults, CopyModel):

========= ========= ======== ==================================================================
 eta       0         mV ms    Learning rate, per unit of error and ms (error and rate in 1/ms)
 tau_s     0         ms       Time constant of the trace of the presynaptic rate; 0: none
 tau_Delta 1.0       ms       Time constant of the filter; 0: none
 Wmin      -inf      mV ms    Smallest weight
 Wmax      inf       mV ms    Largest weight
========= ========= ======== ==================================================================

Each connection:

======= ======= ====== ========================
 weight  1.0     mV ms  Synaptic weight
 delay   1.0     ms     Transmission delay
======= ======= ====== ========================

Transmits
+++++++++

SICEvent

References
++++++++++

.. [1] Sacramento J, Costa RP, Bengio Y, Senn W (2018). Dendritic cortical microcircuits approximate the backpropagation algorithm.
       Advances in Neural Information Processing Systems 31. https://arxiv.org/abs/1810.11393

See also
++++++++

dendritic_error_synapse, sic_connection

EndUserDocs */

//! Properties that all synapses of one model share, and what a step multiplies with.
class DendriticErrorRateProperties : public DendriticErrorCommonProperties< 0 >
{
public:
  DendriticErrorRateProperties()
  {
    calibrate( TimeConverter() );
  }

  void
  set_status( const Dictionary& d, ConnectorModel& cm )
  {
    DendriticErrorCommonProperties::set_status( d, cm );
    calibrate( TimeConverter() );
  }

  //! Called when the resolution changes.
  void
  calibrate( const TimeConverter& )
  {
    const double h = Time::get_resolution().get_ms();
    is_filtered = tau_Delta > 0.0;
    keep_filtered = is_filtered ? std::exp( -h / tau_Delta ) : 0.0;
    keep_trace = tau_s > 0.0 ? std::exp( -h / tau_s ) : 0.0;
    add_rate = tau_s > 0.0 ? keep_trace * h / tau_s : 1.0;
  }

  bool is_filtered = false;    //!< false if tau_Delta = 0: the weight follows without delay
  double keep_filtered = 0.0;  //!< b = exp( -h / tau_Delta )
  double keep_trace = 0.0;     //!< a = exp( -h / tau_s )
  double add_rate = 0.0;       //!< share of a rate in the trace that the next error meets
};

template < typename targetidentifierT >
class dendritic_error_rate_synapse : public Connection< targetidentifierT >
{
public:
  using CommonPropertiesType = DendriticErrorRateProperties;
  using ConnectionBase = Connection< targetidentifierT >;
  using EventType = SICEvent;

  static constexpr ConnectionModelProperties properties = ConnectionModelProperties::HAS_DELAY;

  using ConnectionBase::get_delay_steps;
  using ConnectionBase::get_rport;
  using ConnectionBase::get_target;

  std::unique_ptr< SecondaryEvent >
  get_secondary_event()
  {
    return std::make_unique< SICEvent >();
  }

  void check_connection( Node& source, Node& target, size_t receptor_type, const CommonPropertiesType& cp );

  bool
  send( Event& e, const size_t tid, const CommonPropertiesType& cp )
  {
    return receive_( e, tid, cp, []( const double rate, long ) { return rate; } );
  }

  void get_status( Dictionary& d ) const;
  void set_status( const Dictionary& d, ConnectorModel& cm );

  void
  set_weight( const double weight )
  {
    weight_ = weight;
  }

protected:
  DendriticErrorArchivingNode&
  node_( const size_t tid ) const
  {
    return *static_cast< DendriticErrorArchivingNode* >( get_target( tid ) );
  }

  /**
   * Receive the rates of a slice: for each, bring the weight up to date and deliver.
   *
   * released( rate, n ) is what is transmitted of the rate of the step that ended at time n (steps).
   */
  template < typename ReleasedT >
  bool receive_( Event& e, size_t tid, const CommonPropertiesType& cp, ReleasedT released );

private:
  //! Bring the weight up to the time n (steps) of the next rate, which has not yet entered the trace.
  void advance_to_( long n, const RecentErrors& errors, const CommonPropertiesType& cp );

  //! Let one error meet the trace.
  void integrate_( double error, const CommonPropertiesType& cp );

  //! Bring the weight up to the time of the rate that comes next, once.
  void look_ahead_( const CommonPropertiesType& cp );

  bool is_ahead_ =
    false;  //!< whether the weight is that of the rate that comes next; fills the padding of the base class
  double weight_ = 1.0;    //!< W (mV ms)
  double filtered_ = 0.0;  //!< E, error times trace that the filter holds
  double trace_ = 0.0;     //!< low-pass filtered presynaptic rate that the next error meets (1/ms)
};

template < typename targetidentifierT >
constexpr ConnectionModelProperties dendritic_error_rate_synapse< targetidentifierT >::properties;

template < typename targetidentifierT >
void
dendritic_error_rate_synapse< targetidentifierT >::check_connection( Node& source,
  Node& target,
  const size_t receptor_type,
  const CommonPropertiesType& cp )
{
  const std::string name =
    kernel().model_manager.get_connection_model( this->get_syn_id(), target.get_thread() ).get_name();
  auto* const node = dynamic_cast< DendriticErrorArchivingNode* >( &target );
  if ( not node )
  {
    throw IllegalConnection(
      String::compose( "%1 needs a target that archives dendritic errors, such as pyramidal_rate_neuron; %2 does not",
        name,
        target.get_name() ) );
  }
  SICEvent e;
  source.sends_secondary_event( e );
  e.set_sender( source );
  this->target_.set_rport( target.handles_test_event( e, receptor_type ) );
  this->target_.set_target( &target );
  cp.check_weight( weight_, name );
  node->register_rate_synapse( get_rport(), name );
}

template < typename targetidentifierT >
void
dendritic_error_rate_synapse< targetidentifierT >::integrate_( const double error, const CommonPropertiesType& cp )
{
  const PlasticityRule rule = cp.rule();
  const double product = error * trace_;
  const double change = cp.is_filtered ? ( 1.0 - cp.keep_filtered ) * filtered_ : product;
  weight_ = std::min( std::max( weight_ + rule.eta_h * change, rule.Wmin ), rule.Wmax );
  filtered_ = cp.is_filtered ? cp.keep_filtered * filtered_ + product : 0.0;
}

template < typename targetidentifierT >
void
dendritic_error_rate_synapse< targetidentifierT >::advance_to_( const long n,
  const RecentErrors& errors,
  const CommonPropertiesType& cp )
{
  const long delay = get_delay_steps();
  const long last_reset = errors.last_reset( n );
  if ( n != last_reset + 1 )
  {
    integrate_( n - delay > last_reset ? errors.at( n - delay ) : 0.0, cp );
    return;
  }
  // the target has just returned to rest: the last errors meet a trace to which nothing is added, then comes a long silence
  for ( long k = n - delay; k <= last_reset; ++k )
  {
    integrate_( k > errors.last_reset( last_reset ) ? errors.at( k ) : 0.0, cp );
    trace_ *= cp.keep_trace;
  }
  const PlasticityRule rule = cp.rule();
  weight_ = std::min( std::max( weight_ + rule.eta_h * filtered_, rule.Wmin ), rule.Wmax );
  filtered_ = trace_ = 0.0;
}

template < typename targetidentifierT >
template < typename ReleasedT >
bool
dendritic_error_rate_synapse< targetidentifierT >::receive_( Event& e,
  const size_t tid,
  const CommonPropertiesType& cp,
  const ReleasedT released )
{
  SICEvent& rates = static_cast< SICEvent& >( e );
  DendriticErrorArchivingNode& node = node_( tid );
  const RecentErrors& errors = node.recent_errors( get_rport() );
  const double h = Time::get_resolution().get_ms();
  long n = kernel().simulation_manager.get_slice_origin().get_steps() - kernel().connection_manager.get_min_delay();
  for ( auto it = rates.begin(); it != rates.end(); )
  {
    const double sent = rates.get_coeffvalue( it );  // advances it
    ++n;
    if ( not std::exchange( is_ahead_, false ) )
    {
      advance_to_( n, errors, cp );
    }
    trace_ *= cp.keep_trace;
    if ( not std::isnan( sent ) )  // NaN: nothing was sent
    {
      const double rate = released( sent, n );
      trace_ += cp.add_rate * rate;
      node.receive_rate( get_rport(), n, get_delay_steps(), weight_ * rate * h );
    }
  }
  return true;
}

template < typename targetidentifierT >
void
dendritic_error_rate_synapse< targetidentifierT >::look_ahead_( const CommonPropertiesType& cp )
{
  const Node* const target = get_target( 0 );
  if ( not target or std::exchange( is_ahead_, true ) )  // without a target, this is the prototype of a model
  {
    return;
  }
  // the rates of a slice come when the next one begins
  const SimulationManager& simulation = kernel().simulation_manager;
  const long received = simulation.get_slice_origin().get_steps()
    - ( simulation.get_from_step() == 0 ? kernel().connection_manager.get_min_delay() : 0 );
  advance_to_( received + 1, node_( 0 ).recent_errors( get_rport() ), cp );
}

template < typename targetidentifierT >
void
dendritic_error_rate_synapse< targetidentifierT >::get_status( Dictionary& d ) const
{
  ConnectionBase::get_status( d );
  dendritic_error_rate_synapse present = *this;
  if ( const Node* const target = get_target( 0 ) )
  {
    const ConnectorModel& cm = kernel().model_manager.get_connection_model( this->get_syn_id(), target->get_thread() );
    present.look_ahead_( static_cast< const CommonPropertiesType& >( cm.get_common_properties() ) );
  }
  d[ names::weight ] = present.weight_;
  d[ names::size_of ] = static_cast< long >( sizeof( *this ) );
}

template < typename targetidentifierT >
void
dendritic_error_rate_synapse< targetidentifierT >::set_status( const Dictionary& d, ConnectorModel& cm )
{
  const auto& cp = static_cast< const CommonPropertiesType& >( cm.get_common_properties() );
  double weight = 0.0;
  const bool sets_weight = d.update_value( names::weight, weight );
  if ( sets_weight )
  {
    cp.check_weight( weight, cm.get_name() );
  }
  ConnectionBase::set_status( d, cm );
  if ( sets_weight )
  {
    look_ahead_( cp );
    weight_ = weight;
  }
}

}  // namespace nest

#endif
