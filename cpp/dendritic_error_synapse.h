/*
 *  dendritic_error_synapse.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_DENDRITIC_ERROR_SYNAPSE_H
#define PYRAMIDAL_DENDRITIC_ERROR_SYNAPSE_H

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "common_synapse_properties.h"
#include "compose.hpp"
#include "connection.h"
#include "connection_label.h"
#include "connector_base.h"
#include "connector_model.h"
#include "event.h"
#include "kernel_manager.h"

#include "dendritic_error_archiving_node.h"
#include "packed_target.h"
#include "synaptic_integral.h"
#include "weight_bounds.h"

namespace nest
{

/* BeginUserDocs: synapse, plasticity

Short description
+++++++++++++++++

Synapse that learns from the dendritic error of its target, in O(1) per spike

Description
+++++++++++

The weight follows the low-pass filtered product of the dendritic error :math:`V^*_i` of the postsynaptic compartment and the
trace :math:`s^*_j` of the presynaptic spikes,

.. math::

   \frac{dW}{dt} = \eta \, (\kappa * V^*_i s^*_j)(t), \qquad
   \kappa(t) = \frac{1}{\tau_\Delta} e^{-t / \tau_\Delta}, \qquad
   \frac{ds^*_j}{dt} = -\frac{s^*_j}{\tau_s} + \sum_k \delta(t - t_j^k),

clipped to [Wmin, Wmax] at every presynaptic spike. All of the delay is dendritic: a spike at t sees the errors from t - delay on.
Presynaptic cells are neurons; between a generator and the target there has to be a parrot_neuron.
The target archives its error (error_archive.h), so that the cost of a spike does not depend on the time since the last one.

A weight that is read is the weight at the present time, errors since the last spike included. A weight that is set is set exactly;
what the filter still has to add is added afterwards. The learning window of the target gates learning without touching a synapse.

dendritic_error_psp_synapse is the same with a trace that has the course of a postsynaptic potential, as in [1]_,

.. math::

   s^*_j(t) = \frac{\tau_m}{\tau_m - \tau_s} \sum_k \left[ e^{-(t - t_j^k) / \tau_m} - e^{-(t - t_j^k) / \tau_s} \right],

for dendrites with synaptic currents (tau_syn_basal, tau_syn_apical of pyramidal_neuron). The smaller tau_s, the more it is
dendritic_error_synapse with tau_s = tau_m. For tau_m = tau_s it is the limit, an alpha function, to within 1e-9.

Parameters
++++++++++

Common to all synapses of a model (SetDefaults, CopyModel):

========= ========= ======== =====================================================================================
 eta       0         1/ms     Learning rate, per unit of error and trace, in weight units
 tau_s     1.0       ms       Time constant of the presynaptic trace; of its rise in dendritic_error_psp_synapse
 tau_m     10.0      ms       Time constant of the decay of the trace; dendritic_error_psp_synapse
 tau_Delta 1.0       ms       Time constant of the filter; 0: none
 Wmin      -inf      mV ms    Smallest weight
 Wmax      inf       mV ms    Largest weight
========= ========= ======== =====================================================================================

Each connection:

======= ======= ====== ========================
 weight  1.0     mV ms  Synaptic weight
 delay   1.0     ms     Transmission delay
======= ======= ====== ========================

Transmits
+++++++++

SpikeEvent

References
++++++++++

.. [1] Urbanczik R, Senn W (2014). Learning by the dendritic prediction of somatic spiking. Neuron 81:521-528.
       DOI: https://doi.org/10.1016/j.neuron.2013.11.030
.. [2] Stapmanns J et al. (2021). Event-based update of synapses in voltage-based learning rules. Front. Neuroinform. 15:609147.
       DOI: https://doi.org/10.3389/fninf.2021.609147

See also
++++++++

dendritic_error_reference_synapse, urbanczik_synapse

EndUserDocs */

/**
 * Properties that all synapses of one model share.
 *
 * n_traces is the number of exponentials in the trace of presynaptic spikes, or 0 for synapses of rates.
 */
template < size_t n_traces >
class DendriticErrorCommonProperties : public CommonSynapseProperties
{
public:
  void get_status( Dictionary& d ) const;
  void set_status( const Dictionary& d, ConnectorModel& cm );

  //! Time constants of the traces (ms).
  std::vector< double >
  trace_time_constants() const
  {
    if ( n_traces == 1 )
    {
      return { tau_s };
    }
    const double d = replaced_half_difference_();
    return d == 0.0 ? std::vector{ tau_m, tau_s }
                    : std::vector{ 1.0 / ( mean_decay_() - d ), 1.0 / ( mean_decay_() + d ) };
  }

  PlasticityRule
  rule() const
  {
    double norm = 1.0;
    if ( n_traces == 2 )
    {
      const double d = replaced_half_difference_();
      norm = d == 0.0 ? tau_m / ( tau_m - tau_s ) : 1.0 / ( 2.0 * d * tau_s );
    }
    return { eta * norm * Time::get_resolution().get_ms(), bounds.Wmin, bounds.Wmax };
  }

  //! Throws BadProperty if the weight is not allowed.
  void
  check_weight( const double weight, const std::string& synapse ) const
  {
    bounds.check( weight, synapse );
  }

private:
  // A trace that rises is ( exp( -( m - d ) t ) - exp( -( m + d ) t ) ) / ( 2 d tau_s ) = t exp( -m t ) / tau_s ( 1 + ( d t )^2 / 6 + ... ),
  // m and d being the mean and half the difference of 1/tau_s and 1/tau_m. Where d is so small that the difference would lose digits,
  // it is made d = 1e-5 m: both the rounding, 1e-16 m/d, and what the trace changes, ( d/m )^2 after averaging, stay below 1e-10.

  //! m (1/ms)
  double
  mean_decay_() const
  {
    return 0.5 * ( 1.0 / tau_s + 1.0 / tau_m );
  }

  //! What takes the place of d, or 0 if it stays what it is (1/ms)
  double
  replaced_half_difference_() const
  {
    const double d = 0.5 * ( 1.0 / tau_s - 1.0 / tau_m );
    const double least = 1e-5 * mean_decay_();
    return std::abs( d ) < least ? std::copysign( least, d ) : 0.0;
  }

  double eta = 0.0;                         //!< learning rate (weight units per error, trace and ms)
  double tau_s = n_traces > 0 ? 1.0 : 0.0;  //!< of the presynaptic trace, or of its rise (ms)
  double tau_m = 10.0;                      //!< of the decay of a trace that rises (ms)
  double tau_Delta = 1.0;                   //!< of the filter, 0: none (ms)
  WeightBounds bounds;

  template < size_t >
  friend class DendriticErrorSynapse;
  friend class DendriticErrorRateProperties;
};

template < size_t n_traces >
class DendriticErrorSynapse : public Connection< PackedTarget >
{
public:
  using CommonPropertiesType = DendriticErrorCommonProperties< n_traces >;
  using ConnectionBase = Connection< PackedTarget >;

  static constexpr ConnectionModelProperties properties = ConnectionModelProperties::HAS_DELAY
    | ConnectionModelProperties::IS_PRIMARY | ConnectionModelProperties::SUPPORTS_LBL;

  void check_connection( Node& source, Node& target, size_t receptor_type, const CommonPropertiesType& cp );

  using State = SynapticIntegral< n_traces >;
  using Rule = typename State::Rule;
  using Position = typename State::Position;

  //! Spikes of one presynaptic cell and step, with what is the same for all its synapses.
  struct Spikes
  {
    Spikes( const Event& e, const CommonPropertiesType& cp )
      : n( e.get_stamp().get_steps() )
      , count( DendriticErrorArchivingNode::spike_count( static_cast< const SpikeEvent& >( e ) ) )
      , rule( cp.rule() )
    {
    }

    long n;        //!< time (steps)
    double count;  //!< how many
    Rule rule;     //!< of the synapses
  };

  //! Bring the weight up to the time of the spikes and deliver them with it.
  void deliver( const Spikes& spikes );

  //! Have the processor fetch what deliver() will want of the target, long before.
  void
  prefetch_target() const
  {
    if ( const DendriticErrorArchivingNode* const node = node_() )  // not in what NEST keeps in reserve
    {
      node->prefetch( get_rport() );
    }
  }

  //! A while later, have it fetch the epoch of the last spike.
  void
  prefetch_epoch() const
  {
    if ( DendriticErrorArchivingNode* const node = node_() )
    {
      node->archive( get_rport() ).prefetch( index_() );
    }
  }

  //! The same for a single connection; leaves in the event what a weight_recorder wants to know.
  bool
  send( Event& e, const size_t tid, const CommonPropertiesType& cp )
  {
    deliver( Spikes( e, cp ) );
    describe_( e, tid );
    return true;
  }

  void get_status( Dictionary& d ) const;
  void set_status( const Dictionary& d, ConnectorModel& cm );

  //! Called by Disconnect: the archive has nothing to keep for this synapse any longer.
  void
  disable()
  {
    if ( ErrorArchive* const archive = archive_(); archive and index_() > 0 )
    {
      for ( size_t i = 0; i < n_traces; ++i )
      {
        archive->leave( i, index_(), ErrorArchive::nowhere );
      }
    }
    node_()->unregister_plastic_synapse( get_rport() );
    ConnectionBase::disable();
  }

  void
  set_weight( const double weight )
  {
    state_.set_weight( weight );
  }

protected:
  DendriticErrorArchivingNode*
  node_() const
  {
    return static_cast< DendriticErrorArchivingNode* >( get_target( 0 ) );
  }

  //! Leave in the event what a weight_recorder wants to know.
  void
  describe_( Event& e, const size_t tid ) const
  {
    e.set_receiver( *get_target( tid ) );
    e.set_weight( state_.weight() );
    e.set_delay_steps( get_delay_steps() );
    e.set_rport( get_rport() );
  }

private:
  class ConnTestDummyNode : public ConnTestDummyNodeBase
  {
  public:
    using ConnTestDummyNodeBase::handles_test_event;

    size_t
    handles_test_event( SpikeEvent&, size_t ) override
    {
      return invalid_port;
    }
  };

  //! Archive of the target; nullptr for the prototype of a model and before the first Simulate.
  ErrorArchive* archive_() const;

  //! Index in the archive of the last spike, or of a later change of the weight by hand; 0 before the first spike.
  long
  index_() const
  {
    return static_cast< long >( target_.spare() << 32 | index_low_ );
  }

  //! The archive keeps indices within 48 bits.
  void
  set_index_( const long k )
  {
    index_low_ = static_cast< uint32_t >( k );
    target_.set_spare( static_cast< uint64_t >( k ) >> 32 );
  }

  //! Bring the state up to position p, and add spikes there; is_near as in SynapticIntegral::advance().
  template < bool is_near >
  void move_to_( ErrorArchive& archive, const Position& p, double count, const Rule& rule );

  //! The same for any archive. It is compiled apart from deliver(), which more code in sight makes slower.
  void move_far_( ErrorArchive& archive, const Position& p, double count, const Rule& rule );

  //! Spikes that are rare or meet a slow archive: the first one ever, all if time constants are long, and those older than the state.
  void add_unusual_spikes_( ErrorArchive& archive, const Position& p, double count, const Rule& rule );

  uint32_t index_low_ = 0;  //!< lower half of the index; fills the padding of the base class
  State state_;             //!< at the index, spikes there included
};

template < size_t n_traces >
constexpr ConnectionModelProperties DendriticErrorSynapse< n_traces >::properties;

template < size_t n_traces >
void
DendriticErrorSynapse< n_traces >::check_connection( Node& source,
  Node& target,
  const size_t receptor_type,
  const CommonPropertiesType& cp )
{
  const std::string name = kernel().model_manager.get_connection_model( get_syn_id(), target.get_thread() ).get_name();
  auto* const node = dynamic_cast< DendriticErrorArchivingNode* >( &target );
  if ( not node )
  {
    throw IllegalConnection(
      String::compose( "%1 needs a target that archives dendritic errors, such as pyramidal_neuron; %2 does not",
        name,
        target.get_name() ) );
  }
  if ( not source.has_proxies() )
  {
    throw IllegalConnection(
      String::compose( "%1 learns from neurons, %2 is a device: put a parrot_neuron between it and the target",
        name,
        source.get_name() ) );
  }
  ConnTestDummyNode dummy;
  ConnectionBase::check_connection_( dummy, source, target, receptor_type );
  cp.check_weight( state_.weight(), name );
  node->register_plastic_synapse( get_rport(), cp.trace_time_constants(), cp.tau_Delta, name );
}

template < size_t n_traces >
[[gnu::always_inline]] inline void
DendriticErrorSynapse< n_traces >::deliver( const Spikes& spikes )
{
  const size_t port = get_rport();
  const long delay = get_delay_steps();
  DendriticErrorArchivingNode& node = *node_();
  ErrorArchive& archive = node.archive( port );
  const Position p = archive.position< n_traces >( spikes.n, delay );
  const long k0 = index_();
  if ( p.index == k0 )
  {
    state_.add_spikes( spikes.count, p, spikes.rule.eta_h );
  }
  else if ( p.index > k0 and k0 > 0 and not archive.is_slow() )
  {
    move_to_< true >( archive, p, spikes.count, spikes.rule );
  }
  else
  {
    add_unusual_spikes_( archive, p, spikes.count, spikes.rule );
  }

  // Straight into the input of the cell, without an event and its two virtual calls. A cell's spikes are never ahead of the target: those
  // from the other side of a reset are from before it, and lost.
  if ( archive.begins_before( spikes.n - delay ) or node.is_on_this_side_of_reset( spikes.n ) )
  {
    node.add_input( port, spikes.n + delay - 1, state_.weight() * spikes.count );
  }
}

template < size_t n_traces >
template < bool is_near >
[[gnu::always_inline]] inline void
DendriticErrorSynapse< n_traces >::move_to_( ErrorArchive& archive,
  const Position& p,
  const double count,
  const Rule& rule )
{
  const long k0 = index_();
  state_.template advance< is_near >(
    archive,
    k0,
    p,
    count,
    rule,
    [ & ]( const size_t i ) { return archive.leave( i, k0, p.index ); },
    [ & ]( const size_t i ) { return archive.enter( i, p.index, k0 ); } );
  set_index_( p.index );
}

template < size_t n_traces >
[[gnu::cold, gnu::noinline]] void
DendriticErrorSynapse< n_traces >::add_unusual_spikes_( ErrorArchive& archive,
  const Position& p,
  const double count,
  const Rule& rule )
{
  const long k0 = index_();
  if ( k0 > 0 and p.index > k0 )
  {
    move_far_( archive, p, count, rule );
    return;
  }
  if ( k0 > 0 )
  {
    state_.add_late_spikes( count, archive, p, archive.position< n_traces >( k0 ), rule );
    return;
  }
  for ( size_t i = 0; i < n_traces; ++i )
  {
    archive.enter( i, p.index, ErrorArchive::nowhere );
  }
  set_index_( p.index );
  state_.add_spikes( count, p, rule.eta_h );
}

template < size_t n_traces >
ErrorArchive*
DendriticErrorSynapse< n_traces >::archive_() const
{
  DendriticErrorArchivingNode* const node = node_();
  return node and node->archive( get_rport() ).ready() ? &node->archive( get_rport() ) : nullptr;
}

template < size_t n_traces >
void
DendriticErrorSynapse< n_traces >::get_status( Dictionary& d ) const
{
  ConnectionBase::get_status( d );
  State present = state_;
  const ErrorArchive* const archive = archive_();
  const long k0 = index_();
  if ( archive and k0 > 0 )
  {
    const Position now = archive->present< n_traces >( get_delay_steps() );
    if ( now.index > k0 )
    {
      const ConnectorModel& cm =
        kernel().model_manager.get_connection_model( get_syn_id(), get_target( 0 )->get_thread() );
      const auto& cp = static_cast< const CommonPropertiesType& >( cm.get_common_properties() );
      present.template advance< false >(
        *archive,
        k0,
        now,
        0.0,
        cp.rule(),
        [ & ]( const size_t i ) { return archive->tails( i, k0 ); },
        [ & ]( const size_t i ) { return archive->tails( i, now.index ); } );
    }
  }
  d[ names::weight ] = present.weight();
  d[ names::size_of ] = static_cast< long >( sizeof( *this ) );
}

template < size_t n_traces >
void
DendriticErrorSynapse< n_traces >::set_status( const Dictionary& d, ConnectorModel& cm )
{
  const auto& cp = static_cast< const CommonPropertiesType& >( cm.get_common_properties() );
  double weight = 0.0;
  const bool sets_weight = d.update_value( names::weight, weight );
  if ( sets_weight )
  {
    cp.check_weight( weight, cm.get_name() );
  }
  double delay = 0.0;
  if ( index_() > 0 and d.update_value( names::delay, delay )
    and Time::delay_ms_to_steps( delay ) != get_delay_steps() )
  {
    throw BadProperty(
      String::compose( "%1: the delay cannot change after the first spike; disconnect, and connect anew with %2 ms",
        cm.get_name(),
        delay ) );
  }
  ConnectionBase::set_status( d, cm );
  if ( not sets_weight )
  {
    return;
  }
  ErrorArchive* const archive = archive_();
  if ( archive and index_() > 0 )
  {
    const Position now = archive->present< n_traces >( get_delay_steps() );
    if ( now.index > index_() )
    {
      move_far_( *archive, now, 0.0, cp.rule() );
    }
  }
  state_.set_weight( weight );
}

/**
 * Connector::send() for these synapses: deliver the spikes of a cell to all its targets, and return how many there are.
 *
 * What NEST does anew for each connection is done once.
 */
template < typename ConnectionT >
size_t
deliver_to_all_targets( Connector< ConnectionT >& connector,
  BlockVector< ConnectionT >& connections,
  const size_t tid,
  const size_t first,
  const ConnectorModel& cm,
  Event& e )
{
  const auto& cp = static_cast< const typename ConnectionT::CommonPropertiesType& >( cm.get_common_properties() );
  if ( e.is_flush_event() )
  {
    return 0;
  }
  constexpr size_t far_ahead = 12;  // connections; so that memory has answered when their turn comes
  constexpr size_t near_ahead = 6;
  const bool is_recorded = cp.get_weight_recorder();
  const typename ConnectionT::Spikes spikes( e, cp );
  ConnectionT* connection = &connections[ first ];
  for ( size_t i = 1; i <= far_ahead; ++i )
  {
    __builtin_prefetch( connection + i, 1 );
  }
  for ( size_t i = first;; ++connection )
  {
    if ( not connection->is_disabled() )
    {
      if ( is_recorded )
      {
        e.set_port( i );
        if ( connection->send( e, tid, cp ) )
        {
          connector.send_weight_event( tid, i, e, cp );
        }
      }
      else
      {
        // connections of a block lie side by side; those of the next cell, which is fetched in vain, come last
        if ( max_block_size - i % max_block_size > far_ahead )
        {
          __builtin_prefetch( connection + 2 * far_ahead, 1 );
          connection[ far_ahead ].prefetch_target();
          connection[ near_ahead ].prefetch_epoch();
        }
        connection->deliver( spikes );
      }
    }
    ++i;
    if ( not connection->source_has_more_targets() )
    {
      return i - first;
    }
    if ( i % max_block_size == 0 )
    {
      connection = &connections[ i ] - 1;
    }
  }
}

template <>
inline size_t
Connector< DendriticErrorSynapse< 1 > >::send( const size_t tid,
  const size_t lcid,
  const std::vector< ConnectorModel* >& cm,
  Event& e )
{
  return deliver_to_all_targets( *this, C_, tid, lcid, *cm[ syn_id_ ], e );
}

template <>
inline size_t
Connector< ConnectionLabel< DendriticErrorSynapse< 1 > > >::send( const size_t tid,
  const size_t lcid,
  const std::vector< ConnectorModel* >& cm,
  Event& e )
{
  return deliver_to_all_targets( *this, C_, tid, lcid, *cm[ syn_id_ ], e );
}

template <>
inline size_t
Connector< DendriticErrorSynapse< 2 > >::send( const size_t tid,
  const size_t lcid,
  const std::vector< ConnectorModel* >& cm,
  Event& e )
{
  return deliver_to_all_targets( *this, C_, tid, lcid, *cm[ syn_id_ ], e );
}

template <>
inline size_t
Connector< ConnectionLabel< DendriticErrorSynapse< 2 > > >::send( const size_t tid,
  const size_t lcid,
  const std::vector< ConnectorModel* >& cm,
  Event& e )
{
  return deliver_to_all_targets( *this, C_, tid, lcid, *cm[ syn_id_ ], e );
}

//! Synapse whose trace decays; names and template parameters are those that NEST expects.
template < typename targetidentifierT >
using dendritic_error_synapse = DendriticErrorSynapse< 1 >;

//! Synapse whose trace has the course of a postsynaptic potential.
template < typename targetidentifierT >
using dendritic_error_psp_synapse = DendriticErrorSynapse< 2 >;

}  // namespace nest

#endif
