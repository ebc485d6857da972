/*
 *  dendritic_error_synapse.h
 *
 *  SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef PYRAMIDAL_DENDRITIC_ERROR_SYNAPSE_H
#define PYRAMIDAL_DENDRITIC_ERROR_SYNAPSE_H

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>

#include "common_synapse_properties.h"
#include "compose.hpp"
#include "connection.h"
#include "connector_model.h"
#include "event.h"
#include "kernel_manager.h"

#include "dendritic_error_archiving_node.h"

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

Parameters
++++++++++

Common to all synapses of a model (SetDefaults, CopyModel):

========= ========= ======== ===========================================================
 eta       0         1/ms     Learning rate, per unit of error and trace, in weight units
 tau_s     1.0       ms       Time constant of the presynaptic trace
 tau_Delta 1.0       ms       Time constant of the filter; 0: none
 Wmin      -inf      mV ms    Smallest weight
 Wmax      inf       mV ms    Largest weight
========= ========= ======== ===========================================================

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

//! Properties that all synapses of one model share.
class DendriticErrorCommonProperties : public CommonSynapseProperties
{
public:
  void get_status( Dictionary& d ) const;
  void set_status( const Dictionary& d, ConnectorModel& cm );

  //! The nearest allowed weight.
  double
  clip( const double weight ) const
  {
    return std::clamp( weight, Wmin, Wmax );
  }

  //! Throws BadProperty if the weight is not allowed.
  void check_weight( double weight, const std::string& synapse ) const;

  double eta = 0.0;                                          //!< learning rate (weight units per error, trace and ms)
  double tau_s = 1.0;                                        //!< of the presynaptic trace (ms)
  double tau_Delta = 1.0;                                    //!< of the filter, 0: none (ms)
  double Wmin = -std::numeric_limits< double >::infinity();  //!< smallest weight (mV ms)
  double Wmax = std::numeric_limits< double >::infinity();   //!< largest weight (mV ms)
};

template < typename targetidentifierT >
class dendritic_error_synapse : public Connection< targetidentifierT >
{
public:
  using CommonPropertiesType = DendriticErrorCommonProperties;
  using ConnectionBase = Connection< targetidentifierT >;

  static constexpr ConnectionModelProperties properties = ConnectionModelProperties::HAS_DELAY
    | ConnectionModelProperties::IS_PRIMARY | ConnectionModelProperties::SUPPORTS_LBL;

  using ConnectionBase::get_delay_steps;
  using ConnectionBase::get_rport;
  using ConnectionBase::get_syn_id;
  using ConnectionBase::get_target;

  void check_connection( Node& source, Node& target, size_t receptor_type, const CommonPropertiesType& cp );

  //! Bring the weight up to the time of the spike and deliver the spike with it.
  bool send( Event& e, size_t tid, const CommonPropertiesType& cp );

  void get_status( Dictionary& d ) const;
  void set_status( const Dictionary& d, ConnectorModel& cm );

  void
  set_weight( const double weight )
  {
    state_.weight = weight;
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

  //! What a spike changes.
  struct State
  {
    double weight = 1.0;    //!< (mV ms)
    double trace = 0.0;     //!< presynaptic trace
    double filtered = 0.0;  //!< filtered integral E of error times trace (error)
  };

  //! Bring the state up to spikes at time n (steps), and add them.
  void integrate_( ErrorArchive& archive, long n, double count, const CommonPropertiesType& cp );

  //! State at a position p after the present one, if there is no spike between.
  State state_at_( const ErrorArchive& archive, const ErrorArchive::Position& p, const CommonPropertiesType& cp ) const;

  //! State at the present time.
  State present_state_( const ErrorArchive& archive, const CommonPropertiesType& cp ) const;

  void move_to_( ErrorArchive& archive, const ErrorArchive::Position& p, const State& state );

  //! Add spikes that are older than the state: everything is linear in the trace, so their share can be added later.
  void add_late_spikes_( const ErrorArchive& archive,
    const ErrorArchive::Position& p,
    double n,
    const CommonPropertiesType& cp );

  //! Position of a synapse without a spike.
  static constexpr long never_ = std::numeric_limits< long >::min();

  uint32_t last_step_ = 0;  //!< time of the last spike (steps, lowest bits); fills the padding of the base class
  State state_;             //!< at position_, spikes there included
  ErrorArchive::Position position_ = { never_, {} };  //!< of the last spike, or of a later change of the weight by hand
};

template < typename targetidentifierT >
constexpr ConnectionModelProperties dendritic_error_synapse< targetidentifierT >::properties;

template < typename targetidentifierT >
void
dendritic_error_synapse< targetidentifierT >::check_connection( Node& source,
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
  cp.check_weight( state_.weight, name );
  node->register_plastic_synapse( get_rport(), cp.tau_s, cp.tau_Delta, name );
}

template < typename targetidentifierT >
inline bool
dendritic_error_synapse< targetidentifierT >::send( Event& e, const size_t tid, const CommonPropertiesType& cp )
{
  Node* const target = get_target( tid );
  const long n = e.get_stamp().get_steps();
  const double count = static_cast< SpikeEvent& >( e ).get_multiplicity();

  // spikes of one step arrive one by one, and only the first has anything to integrate
  if ( last_step_ == static_cast< uint32_t >( n ) )
  {
    state_.trace += count;
  }
  else
  {
    integrate_( static_cast< DendriticErrorArchivingNode* >( target )->archive( get_rport() ), n, count, cp );
  }

  e.set_receiver( *target );
  e.set_weight( state_.weight );
  e.set_delay_steps( get_delay_steps() );
  e.set_rport( get_rport() );
  e();
  return true;
}

template < typename targetidentifierT >
void
dendritic_error_synapse< targetidentifierT >::integrate_( ErrorArchive& archive,
  const long n,
  const double count,
  const CommonPropertiesType& cp )
{
  const ErrorArchive::Position p = archive.position( n, get_delay_steps() );
  if ( position_.index == never_ )
  {
    archive.add_reader( p.index );
    position_ = p;
  }
  else if ( p.index > position_.index )
  {
    move_to_( archive, p, state_at_( archive, p, cp ) );
  }
  else if ( p.index < position_.index )
  {
    add_late_spikes_( archive, p, count, cp );
    return;
  }
  state_.trace += count;
  last_step_ = static_cast< uint32_t >( n );
}

template < typename targetidentifierT >
inline auto
dendritic_error_synapse< targetidentifierT >::state_at_( const ErrorArchive& archive,
  const ErrorArchive::Position& p,
  const CommonPropertiesType& cp ) const -> State
{
  const ArchiveTables& tables = archive.tables();
  const long steps = p.index - position_.index;
  const double a = tables.a( steps );
  const double b = tables.b( steps );
  const double I1 = state_.trace * archive.F1( position_, p, a );
  const double filtered = b * state_.filtered + state_.trace * archive.F2( position_, p, a, b );
  return {
    cp.clip( state_.weight + cp.eta * tables.h * ( I1 - ( filtered - state_.filtered ) ) ), state_.trace * a, filtered
  };
}

template < typename targetidentifierT >
auto
dendritic_error_synapse< targetidentifierT >::present_state_( const ErrorArchive& archive,
  const CommonPropertiesType& cp ) const -> State
{
  const ErrorArchive::Position now = archive.position( archive.now(), get_delay_steps() );
  return position_.index != never_ and now.index > position_.index ? state_at_( archive, now, cp ) : state_;
}

template < typename targetidentifierT >
inline void
dendritic_error_synapse< targetidentifierT >::move_to_( ErrorArchive& archive,
  const ErrorArchive::Position& p,
  const State& state )
{
  archive.move_reader( position_.index, p.index );
  position_ = p;
  state_ = state;
}

template < typename targetidentifierT >
void
dendritic_error_synapse< targetidentifierT >::add_late_spikes_( const ErrorArchive& archive,
  const ErrorArchive::Position& p,
  const double n,
  const CommonPropertiesType& cp )
{
  const ArchiveTables& tables = archive.tables();
  const long steps = position_.index - p.index;
  const double a = tables.a( steps );
  const double I1 = n * archive.F1( p, position_, a );
  const double filtered = n * archive.F2( p, position_, a, tables.b( steps ) );
  state_.weight = cp.clip( state_.weight + cp.eta * tables.h * ( I1 - filtered ) );
  state_.filtered += filtered;
  state_.trace += n * a;
}

template < typename targetidentifierT >
ErrorArchive*
dendritic_error_synapse< targetidentifierT >::archive_() const
{
  auto* const node = static_cast< DendriticErrorArchivingNode* >( get_target( 0 ) );
  return node and node->archive( get_rport() ).ready() ? &node->archive( get_rport() ) : nullptr;
}

template < typename targetidentifierT >
void
dendritic_error_synapse< targetidentifierT >::get_status( Dictionary& d ) const
{
  ConnectionBase::get_status( d );
  double weight = state_.weight;
  if ( const ErrorArchive* const archive = archive_() )
  {
    const ConnectorModel& cm =
      kernel().model_manager.get_connection_model( get_syn_id(), get_target( 0 )->get_thread() );
    weight =
      present_state_( *archive, static_cast< const CommonPropertiesType& >( cm.get_common_properties() ) ).weight;
  }
  d[ names::weight ] = weight;
  d[ names::size_of ] = static_cast< long >( sizeof( *this ) );
}

template < typename targetidentifierT >
void
dendritic_error_synapse< targetidentifierT >::set_status( const Dictionary& d, ConnectorModel& cm )
{
  const auto& cp = static_cast< const CommonPropertiesType& >( cm.get_common_properties() );
  double weight = 0.0;
  const bool sets_weight = d.update_value( names::weight, weight );
  if ( sets_weight )
  {
    cp.check_weight( weight, cm.get_name() );
  }
  double delay = 0.0;
  if ( position_.index != never_ and d.update_value( names::delay, delay )
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
  if ( archive and position_.index != never_ )
  {
    const ErrorArchive::Position now = archive->position( archive->now(), get_delay_steps() );
    if ( now.index > position_.index )
    {
      move_to_( *archive, now, state_at_( *archive, now, cp ) );
      last_step_ = 0;
    }
  }
  state_.weight = weight;
}

}  // namespace nest

#endif
